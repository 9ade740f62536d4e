"""Inspection and reading of PDFs and images: what each page says, where each word stands, or why neither can be told.

- ``options``     what decides a reading; its fingerprint
- ``page``        what engines know of a page, whatever kind of file it is from
- ``document``    opens a file by what is in it: a PDF or an image
- ``pdf``         PDFium: an open file, its pages, their geometry and pixels; ``picture_resolution`` of a scan
- ``image``       Pillow: the same for images; ``image_formats`` and ``image_tiff`` look at the bytes, ``image_pixels``
  at what was decoded
- ``inspection``  what a file says about itself before it is read
- ``engine``      the Protocol that every engine keeps, and its error
- ``text_layer``  the engine that takes the text the PDF carries; ``trust`` says when not to, ``layer_sample`` compares
  it with a few lines of the pixels
- ``recognition`` the Protocol of what reads rasters: ``rapidocr``, ``tesseract``, ``doctr``
- ``rapidocr``    finds lines (``detection``) and reads them (``line_reading``) with the models that
  ``rapidocr_models`` loads
- ``tesseract``   reads pages, or sheets of lines; ``tesseract_program`` knows the installed program
- ``doctr``       an optional engine; ``doctr_models`` are its weights, ``doctr_pull`` fetches them
- ``hybrid``      one page, several engines: weak lines go to the next one on a ``line_sheet``; ``line_text`` is a
  reading of a line, ``alignment`` lays two side by side, ``fusion`` and ``word_fusion`` make words of them, ``lexicon``
  knows the language, ``reading_order`` puts the lines in order, ``page_text`` makes the page
- ``whole_page``  any recogniser as an engine of whole pages
- ``blank``       whether a page has any ink
- ``layout``      lines to blocks, headings
- ``compose``     lines of words to the page text; the one place where offsets are made
- ``language``    which language a text is in
- ``reader``      all of it together, page after page; never raises for a bad page
- ``passwords``   the file of passwords
- ``lost_pictures`` pictures that PDFium silently fails to draw
- ``pool``        processes with limits on time and memory; ``worker`` is what each of them starts with

PDFium and the engines are called from one thread of one process only. The pool is how to use several cores.
"""
