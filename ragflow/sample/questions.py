"""The questions that the sample archive answers, and the names of the documents that they point to."""

from __future__ import annotations

from ragflow.sample.records import SampleQuestion

MINUTES = "Minutes of the town council 1923.pdf"
WATER = "Water works report 1931.pdf"
BRIDGES = "Inspection of bridges #3.pdf"
SURVEY = "Survey of Quay Street.pdf"
HARBOUR_LIGHT = "Letter about the harbour light.pdf"
FERRY = "Marsh End ferry.pdf"
HARBOUR_LETTERS = "Harbour master's letters 1898.pdf"
LIGHTHOUSE_LOG = "Gull Head log 1904.pdf"
DELIBERATIONS = "Délibérations 1887.pdf"
HARVEST = "Récolte de 1911.pdf"
SCHOOL = "Registre de l'école 1902.pdf"
PARISH_FR = "Curé et maire 1874 (numérisé).pdf"

QUESTIONS = (
    SampleQuestion(
        query="How many hornbeams will be planted in Quay Street?",
        language="en",
        file_name=MINUTES,
        page_number=3,
        answer="twenty-six hornbeams",
        note="born-digital, English",
    ),
    SampleQuestion(
        query="Which screen keeps the eels out of the water intake at Three Alders?",
        language="en",
        file_name=WATER,
        page_number=2,
        answer="copper bars set five-eighths of an inch apart",
        note="born-digital, English",
    ),
    SampleQuestion(
        query="How many rivets are loose on the Gallows Down Viaduct?",
        language="en",
        file_name=BRIDGES,
        page_number=4,
        answer="one hundred and thirty rivets",
        note="born-digital, English, pages that resemble each other, '#' in the file name",
    ),
    SampleQuestion(
        query="Where is the mulberry tree planted by a French prisoner of war?",
        language="en",
        file_name=SURVEY,
        page_number=5,
        answer="The yard holds a mulberry tree",
        note="born-digital, English, two columns",
    ),
    SampleQuestion(
        query="Quel nom portera la nouvelle cloche de l'église ?",
        language="fr",
        file_name=DELIBERATIONS,
        page_number=3,
        answer="Eulalie-Marguerite",
        note="born-digital, French, accents in the file name",
    ),
    SampleQuestion(
        query="Combien de fermes la batteuse à vapeur du syndicat agricole a-t-elle visitées ?",
        language="fr",
        file_name=HARVEST,
        page_number=2,
        answer="trente-quatre fermes",
        note="born-digital, French",
    ),
    SampleQuestion(
        query="Quelle élève a été reçue première du canton au certificat d'études ?",
        language="fr",
        file_name=SCHOOL,
        page_number=6,
        answer="Blanche Tréhoret",
        note="born-digital, French, a register of short entries",
    ),
    SampleQuestion(
        query="What does the tug Samson claim for hauling the schooner Petrel off the rocks?",
        language="en",
        file_name=HARBOUR_LETTERS,
        page_number=1,
        answer="twenty-seven pounds",
        note="only on a scan, English",
    ),
    SampleQuestion(
        query="Combien le couvreur Ambroise Lenfant demande-t-il pour redresser le coq du clocher ?",
        language="fr",
        file_name=PARISH_FR,
        page_number=1,
        answer="trente-sept francs",
        note="only on a scan, French",
    ),
    SampleQuestion(
        query="What was the name of the steamer with a cargo of oranges?",
        language="en",
        file_name=LIGHTHOUSE_LOG,
        page_number=2,
        answer="The steamer was the Vanguard",
        note="only on a scanned page that the PDF itself rotates",
    ),
    SampleQuestion(
        query="Who fell from the gallery ladder and broke his wrist?",
        language="en",
        file_name=LIGHTHOUSE_LOG,
        page_number=3,
        answer="Peter Shale fell from the gallery ladder",
        note="only on a scanned page that lies on its side",
    ),
)

CHANGED = SampleQuestion(
    query="How many green flashes will the new harbour light show?",
    language="en",
    file_name=HARBOUR_LIGHT,
    page_number=2,
    answer="three green flashes every twenty seconds",
    note="answered only after the document has changed",
)

REMOVED = SampleQuestion(
    query="At what time does the last ferry leave Marsh End in summer?",
    language="en",
    file_name=FERRY,
    page_number=1,
    answer="twenty-five past nine in the evening",
    note="answered only as long as the document is there",
)
