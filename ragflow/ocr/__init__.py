"""Inspection and reading of PDFs and images: what each page says, where each word stands, or why neither can be told.

- ``options``     what decides a reading; its fingerprint
- ``page``        what engines know of a page, whatever kind of file it is from
- ``document``    opens a file by what is in it: a PDF or an image
- ``pdf``         PDFium: an open file, its pages, their geometry and pixels; ``picture_resolution`` of a scan
- ``image``       Pillow: the same for images; ``image_formats`` and ``image_tiff`` look at the bytes, ``image_pixels``
  at what was decoded
- ``inspection``  what a file says about itself before it is read
- ``engine``      the Protocol that every engine keeps, and its error
- ``text_layer``  the engine that takes the text the PDF carries; ``trust`` says when not to
- ``tesseract``   the engine that reads pixels; ``tesseract_program`` knows the installed program
- ``blank``       whether a page has any ink
- ``layout``      lines to blocks, headings
- ``compose``     lines of words to the page text; the one place where offsets are made
- ``language``    which language a text is in
- ``reader``      all of it together, page after page; never raises for a bad page
- ``pool``        processes with limits on time and memory; ``worker`` is what each of them starts with

PDFium and Tesseract are called from one thread of one process only. The pool is how to use several cores.
"""
