"""Short born-digital documents: letters, a notice, a report with a blank page, and the files that cannot be opened."""

HARBOUR_LIGHT_TITLE = "Letter of the harbour commissioners about the new light"

HARBOUR_LIGHT = """
# To the pilots and fishermen of Port-Aubin

Harbour Office, 4 March 1936

Gentlemen,

The commissioners have the honour to inform you that the old lantern on the east pier will be put out for the last
time on the evening of the thirtieth of April. It has served for sixty-one years and has been tended by three
generations of the Luscombe family, to whom the whole harbour owes its thanks.

The new light stands forty feet above high water on an iron lattice tower at the very end of the mole. It is worked by
acetylene gas and lights itself at dusk by means of a sun valve, so that no keeper need cross the mole in bad weather.

---

# Character of the new light

{character}

The bell of the east pier will be kept for fog. It will be struck by hand as before, two strokes every half minute, by
the watchman of the fish market.

Any vessel that finds the light out or showing a wrong character is asked to tell the harbour office without delay. A
reward of five shillings will be paid for the first report of each failure.

We remain, gentlemen, your obedient servants,

Hector Bellamy, chairman. Lionel Crabbe, secretary to the commissioners.
"""

HARBOUR_LIGHT_BEFORE = (
    "The new harbour light will show a white flash every five seconds, and it will be visible for nine miles in clear "
    "weather. Towards the Calf Rocks it is covered by a red pane, so that a vessel which sees red stands into danger."
)

HARBOUR_LIGHT_AFTER = (
    "The commissioners have altered the character of the light after the trials of last month. The new harbour light "
    "will show a group of three green flashes every twenty seconds, visible for thirteen miles in clear weather. The "
    "red pane towards the Calf Rocks has been taken away."
)

FERRY_TITLE = "Notice: summer sailings of the Marsh End ferry"

FERRY = """
# Marsh End ferry: summer sailings

Notice is hereby given that from the first of June until the last day of September the chain ferry between Port-Aubin
and Marsh End will cross every forty minutes, beginning at ten minutes to six in the morning.

The last ferry leaves Marsh End at twenty-five past nine in the evening, and on regatta night at half past eleven. The
bell is rung four minutes before each crossing.

Foot passengers pay one penny, bicycles twopence, a led horse fourpence and a motor car one shilling and threepence.
Coffins are carried free of charge, with one mourner.

The ferry does not run when the wind stands in the north-east above a fresh gale. A black ball is then hoisted at the
slip.

By order: Septimus Yeo, ferry master.
"""

SCHOOL_VISIT_TITLE = "Report on a visit to the boys' school in Chapel Yard"

SCHOOL_VISIT_FIRST = """
# Visit to the boys' school, 21 October 1908

The inspector, Mr Bertram Oakapple, visited the boys' school in Chapel Yard on a wet Wednesday. Of 118 boys on the
books 104 were present. The headmaster, Mr Jabez Thorne, is assisted by two masters and a monitor.

Reading is clear and without sing-song. Arithmetic is strong in the upper standards; a boy of eleven reckoned the
price of seventeen bullocks in his head while the inspector was still looking for his pencil. Drawing is neglected.
The singing of the second class was given up on account of the rain on the roof.

The reverse of this leaf is left blank.
"""

SCHOOL_VISIT_LAST = """
# Recommendations of the inspector

The windows on the yard should be lowered by two feet so that the boys in the back rows may see their slates. The
closets must be moved away from the well. A gallery for the infants, now used to store potatoes, ought to be given
back to them.

The inspector recommends a grant of one hundred and seven pounds for the year, and an extra five pounds for gardening,
in which the school is the best of the island. He was given a marrow of twenty-three pounds on leaving.
"""

PARISH_LETTER_TITLE = "Letter from the rector of Havrelin about the organ"

PARISH_LETTER = """
# From the rector of Havrelin

The Rectory, Havrelin, 2 August 1929

Dear Mr Mayor,

The organ builder came on Monday and spent two days inside our organ with a candle. He took out of it a family of
mice, a hymn book of 1851, eleven pounds of dust and the spectacles which my predecessor lost in the year of the
comet.

His verdict is that the bellows are perished and that nine pipes of the trumpet stop were once sold for scrap. To put
all right he asks two hundred and thirty-six pounds.

---

# The request

The vestry has gathered ninety pounds by way of a bazaar and a cricket match in which the clergy played the fishermen.
We therefore beg the council to lend us the remaining one hundred and forty-six pounds without interest, to be paid
back over six years from the pew rents.

In return the organ might be heard at the council's concert every Candlemas. Our organist, Miss Lettice Orme, plays
with more feeling than one would think the instrument could bear.

I remain, dear Mr Mayor, yours faithfully, Augustine Pomfret, rector.
"""

SALARIES_TITLE = "Salaries of the officers of the town, 1933"

SALARIES = """
# Salaries of the officers of the town, 1933

Not to be shown outside the finance committee. The clerk receives 410 pounds, the surveyor 385 pounds, the medical
officer 360 pounds and the librarian 190 pounds a year. The mayor receives nothing but his coals.
"""

TITHE_TITLE = "Tithe roll of Marsh End, 1861"

TITHE = """
# Tithe roll of Marsh End, 1861

Here begins the roll of those who owe tithe at Marsh End, field by field, as measured by the commissioners with the
chain. The Long Meadow pays eleven shillings, the Parson's Piece four shillings and a goose, and the Saltings pay in
eels.

---

# Tithe roll of Marsh End, continued

The windmill pays one sack of flour in forty. The warren pays six couple of rabbits at Martinmas. The glebe pays
nothing.
"""
