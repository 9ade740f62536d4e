"""Minutes of the town council of Port-Aubin for 1923: nine meetings, one a page."""

TITLE = "Minutes of the Town Council of Port-Aubin, 1923"

TEXT = """
# Meeting of 11 January 1923

Present: Mayor Edmund Tarrow in the chair, Aldermen Pell, Hosken and Le Brix, Councillors Mrs Vane, Garrod, Odlum and
Quenault, with Mr Josiah Wray as clerk. The minutes of the December meeting were read and signed.

## The town clock

The clerk reported that the clock above the corn hall had stopped on Christmas night at twenty past two and that the
keeper, Mr Dunnock, could not set it going again. The great wheel has lost seven teeth. Councillor Odlum thought the
whole movement past saving. It was resolved to invite Messrs Harbottle of Lower Mill to repair the movement for a sum
not above forty-two pounds, and to leave the dial, which is sound, as it stands.

## Lamp oil

Alderman Pell asked why the street lamps of Tanner's Rise had burned past midnight in November. The lamplighter
explained that he had followed the old almanac by mistake. The council accepted his apology and bought him a new one.

The meeting rose at nine o'clock.

---

# Meeting of 8 February 1923

Present: the Mayor, Aldermen Pell and Hosken, Councillors Mrs Vane, Garrod and Quenault. Alderman Le Brix sent word
that he was kept at home by a fever.

## The fish market roof

The surveyor, Mr Anselm Croy, laid before the council his drawings for a new roof over the fish market. He proposes
sheets of zinc upon rafters of larch, with a raised lantern along the ridge so that the steam of the boiling sheds may
escape. The dealers had asked for glass, which he thinks unwise under so many gulls. The council adopted the zinc roof
by five votes to one and set aside three hundred and eighteen pounds for it.

## A complaint about geese

A letter was read from the residents of Cooper's Lane concerning the geese of the Widow Almond, nineteen in number,
which cross the lane at school time and have bitten two children. Councillor Mrs Vane undertook to call on the widow.
The council agreed that the geese should be walked to the common before seven in the morning or not at all.

---

# Meeting of 8 March 1923

Present: the Mayor, Aldermen Hosken and Le Brix, all councillors.

## Sale of the old fire engine

The clerk opened three offers for the horse-drawn fire engine that has stood in the tithe barn since the motor engine
came. The brewery offered nine pounds, a travelling circus eleven pounds ten shillings, and the parish of Havrelin
fourteen pounds. Councillor Garrod observed that Havrelin has neither a hydrant nor a horse. The offer of Havrelin was
nevertheless accepted, the money to go to the widows' fund of the brigade.

## The planting of Quay Street

The gardens committee recommended lime trees for Quay Street. Alderman Le Brix feared that limes would drip upon the
carriages and proposed planes. After some debate the council settled upon twenty-six hornbeams, to be raised at the
municipal nursery and planted in the second week of November, with a paling round each of them until they are ten feet
high.

---

# Meeting of 12 April 1923

Present: the Mayor, Aldermen Pell, Hosken and Le Brix, Councillors Mrs Vane, Odlum and Quenault.

## The public library

Miss Cordelia Ames, librarian, attended. The library now holds 6,410 volumes and lent 21,377 in the past year, of
which novels made up almost two thirds. She asked for a stove in the reading room, where the ink froze on four
mornings in January, and for leave to open on Sunday afternoons. The stove was granted at once. Sunday opening was put
off until the rector and the minister have been heard.

## Bathing machines

The council heard an application by Mr Fennimore Strake to place six bathing machines on the north sands from June to
September. It was granted on condition that they be painted white, drawn by donkeys and not by horses, and removed
above the tide line every evening. The fee was fixed at two guineas for each machine.

---

# Meeting of 10 May 1923

Present: the Mayor, Aldermen Pell and Hosken, all councillors. The gallery was full.

## The tramway question

A deputation of shopkeepers from Castle Street asked the council to oppose the tramway which the Sarnel Light Railway
Company means to lay from the harbour to the asylum. They hold that the rails would break the wheels of their carts.
The company's engineer, Mr Lucius Farraday, answered that grooved rails lie flush with the setts and that a car would
pass only every twenty-five minutes. Councillor Quenault asked who would clear the snow.

The council voted to support the tramway by four votes to three, the Mayor giving the casting vote, provided that the
line be single, that the cars do not exceed nine miles an hour between the post office and the chapel, and that the
company maintain the roadway for eighteen inches on both sides of the rails.

---

# Meeting of 14 June 1923

Present: the Mayor, Alderman Le Brix, Councillors Mrs Vane, Garrod, Odlum and Quenault.

## Measles at the infants' school

The medical officer, Dr Ruth Benbow, reported forty-three cases of measles since Whitsun, all but five of them from
the infants' school in Chandlers' Row. There had been no death. She had closed the school for three weeks and had the
benches scrubbed with carbolic. The council thanked her and voted eight pounds for milk and beef tea.

## A gift of paintings

The clerk announced that the late Captain Horace Medlicott had left to the town fourteen paintings of ships, together
with sixty pounds for their upkeep. A hanging committee of three was named. It was the general wish that the picture
of the brig Constance entering harbour in the great gale should hang behind the Mayor's chair, where a damp patch has
long offended visitors.

---

# Meeting of 13 September 1923

Present: the Mayor, Aldermen Pell, Hosken and Le Brix, Councillors Mrs Vane and Garrod.

## The breach in the sea wall

The surveyor described the storm of the twenty-ninth of August. The sea opened a breach of thirty-one yards in the
wall at Marsh End, drowned eighty acres of pasture and carried off the keeper's hut. Eleven bullocks were lost. He has
closed the gap with fascines and clay and asks for a facing of granite blocks before the spring tides of March.

The council approved the granite facing at a cost of one thousand one hundred and forty pounds. A loan will be sought
from the Farmers' Bank over twelve years. A rate of twopence in the pound will be laid upon the low meadows, whose
owners profit most, the rest falling on the general fund.

---

# Meeting of 11 October 1923

Present: the Mayor, Aldermen Pell and Hosken, all councillors.

## The telephone exchange

The postmaster, Mr Gilbert Sallow, informed the council that the telephone exchange now serves fifty-eight subscribers
and that the two operators can no longer manage on market days. A third operator, Miss Ivy Tranter, begins on Monday.
He asked the council to allow poles along the churchyard wall. Leave was given for six poles, none of them nearer than
ten feet to a grave.

## Stray dogs

The constable had taken up thirty-four stray dogs since July, of which twenty-two were claimed. The pound is too
small. Councillor Odlum offered the use of his disused malt house at a rent of one shilling a week, which was accepted
with laughter and thanks.

---

# Meeting of 13 December 1923

Present: the Mayor, all aldermen and councillors.

## Accounts of the year

The treasurer, Mr Ambrose Keel, presented the accounts. Receipts came to 9,866 pounds and expenses to 9,702 pounds,
leaving 164 pounds in hand. Market dues brought in more than ever before. The largest single expense was the sea wall,
and the smallest fourpence for a mousetrap in the muniment room, where the rolls of the old manor are kept.

## The winter soup kitchen

Councillor Mrs Vane reported that the soup kitchen in Bethel Hall will open on three days a week from the seventeenth
of December. The butchers give the bones, the gardens committee the turnips. A bowl costs one halfpenny, and nothing
at all for those who bring a note from the relieving officer. Last winter 4,250 bowls were served.

The Mayor wished the council a merry Christmas, and the meeting rose at a quarter to ten.
"""
