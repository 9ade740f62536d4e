"""Report of the water works of Port-Aubin for 1931: eight pages in English."""

TITLE = "Port-Aubin Water Works: Report of the Engineer for the Year 1931"

TEXT = """
# Summary of the year

The works delivered 97 million gallons in 1931, four per cent more than the year before, to a population of 11,300. No
house was without water for longer than nine hours. The driest month was August, when the upper reservoir fell to
eleven feet below the sill, and the wettest was February.

Three matters deserve the attention of the committee: the leakage of the old cast-iron main under Castle Street, the
growth of weed in the upper reservoir, and the age of the beam engine, which has now worked for fifty-four years.

## Staff

The staff consists of the engineer, one foreman, two enginemen, four turncocks and a boy. Turncock Silas Merriweather
retired in June after thirty-seven years and was given a barometer.

---

# The springs and the intake

Water is drawn from five springs below Gallows Down and from the river Lerne at the intake of Three Alders. The
springs gave two thirds of the supply. The best of them, known as the Monk's Spring, yielded 88,000 gallons a day and
did not vary by more than a tenth between winter and summer.

The intake was fitted in April with a new screen of copper bars set five-eighths of an inch apart. Before that date
eels had reached the pump house on six occasions, and one stopped the feed valve for an afternoon. Since the screen
was put in none has been found, although the bars must be raked every day in autumn when the alders shed their leaves.

A gauge board was fixed at the intake so that the turncocks may read the height of the river from the footpath.

---

# The reservoirs

The upper reservoir holds eleven million gallons and the lower reservoir four million. The upper one was emptied in
May for the first time since 1912. The floor was found to be covered with nine inches of silt, of which some 640
cartloads were taken to the allotments, where they were very welcome.

A crack forty feet long was seen in the puddle of the north bank. It was opened, filled with fresh clay from the pits
at Havrelin and rammed in thin layers. There has been no seepage since.

## Weed

The weed is a kind of milfoil. It was cut from a punt in July and again in September. Eight swans, lent by the
bishop's steward, have kept the shallow end clear at no cost to the committee, and it is proposed to ask for four
more.

---

# Pumping

The beam engine, called Old Martha by the men, ran for 5,126 hours. She burned 412 tons of coal, or five tons fewer
than last year, thanks to the lagging put round her cylinder in the spring. The air pump was given a new bucket and
the main beam was sounded and found free of flaws.

The oil engine bought in 1926 ran for 1,740 hours, chiefly at night. Its injector choked on eleven occasions. The
maker blames the oil and the merchant blames the engine.

## A proposal

An electric pump of forty horse-power, driven from the mains of the Sarnel Power Company, would lift the same water at
about two thirds of the present expense. The engineer recommends that one be ordered in 1932 and that Old Martha be
kept in steam as a reserve, for which she is well fitted.

---

# Mains and leakage

There are now thirty-eight miles of mains, of which two were laid this year: to the new houses at Pound Hill, and
along the shore road as far as the coastguard cottages. All new pipe is of spun iron, lined with bitumen.

Night readings show that 190,000 gallons a day are lost between the lower reservoir and the meters. Nearly half of
this loss is under Castle Street, where the pipe was laid in 1868 and lies in ashes from the gasworks, which eat the
iron. It would cost 2,350 pounds to renew the Castle Street main from the bank to the post office.

Thirty-one bursts were mended. The worst was on the third of February at the foot of Tanner's Rise, where the pavement
was lifted and the cellar of the Blue Anchor filled to the level of the third step.

---

# Quality of the water

Samples were sent every month to the county analyst, Mr Theodore Finch. Ten were reported to be excellent and two
fair. The two fair ones were taken in October after the floods, when the river was the colour of tea.

The hardness is fourteen degrees. The analyst found neither lead nor zinc. Chlorine has been dosed at the pump house
since the ninth of March at a rate of three parts in ten million. A few households complained of the taste, most of
them before the dosing had begun.

## The sand filters

The three slow sand filters were scraped five times. Bed number two was refilled with washed sand from the dunes of
Long Strand, its own having become too fine. Each bed passes two and a half gallons an hour for every square foot.

---

# Meters, rates and accounts

There are 2,614 services, of which 307 are metered. The largest consumer is the laundry in Mill Lane, which took six
million gallons, followed by the brewery, the asylum and the railway. The smallest metered consumer is the chapel at
Pound Hill with 210 gallons, all of it presumably for tea.

Receipts from the water rate were 7,935 pounds and from meters 1,488 pounds. Working expenses were 5,207 pounds. After
interest on the loan of 1909 there remains a surplus of 871 pounds, which the engineer asks the committee to carry to
the fund for renewing the mains.

Nineteen summonses were issued for waste. In one case a tap had been left running all night to keep a trout alive in a
bath.

---

# Plans for the coming year

1932 should see the renewal of the Castle Street main in two stages, the first from the bank to the chapel. The street
need not be closed if the trench is kept to the western side.

Secondly, a water tower of reinforced concrete is needed at Pound Hill, where the pressure on washing days is no more
than eighteen feet. The tower should hold sixty thousand gallons and stand seventy feet high. A site has been offered
free of charge by Miss Honoria Blackett, who asks only that the tank be painted green.

Thirdly, the engineer asks for a motor lorry. The horse, Captain, is twenty-two years old and may fairly be said to
have earned his grass.

Signed: Wilfred A. Stannard, engineer, Port-Aubin, 30 January 1932.
"""
