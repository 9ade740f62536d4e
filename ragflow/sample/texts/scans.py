"""The texts that stand only on scanned pages: harbour letters and a lighthouse log (English), a parish (French)."""

HARBOUR_LETTERS = """
# Harbour master's letter book, 1898

To the owners of the schooner Petrel. 17 May 1898.

Sirs, I have to report that your schooner Petrel took the ground on the Calf Rocks at low water on Sunday last. She
was hauled off on the night tide by the tug Samson and lies now at the coal wharf with four planks started on the port
side.

The pilot, Jonas Trewhella, says that the buoy had dragged. I went out myself with the lead and found the buoy one
hundred and sixty yards east of its proper place. No blame can therefore fall upon your master.

The tug claims twenty-seven pounds for her trouble.

Your servant, Elias Marchbanks, harbour master.

---

# To the Board of Trade

6 June 1898.

My Lords, following the stranding of the Petrel I have had the buoy of the Calf Rocks raised. Its chain was worn to
the thickness of a finger. I have put down a new mooring stone of three tons and a half, cut from the quarry at
Gallows Down, and forty fathoms of new chain.

I beg leave to ask for a second buoy, painted black, on the western side. Nine vessels have touched there in six
years. The fishermen would willingly pay a share of the expense.

Elias Marchbanks, harbour master.

---

# To the manager of the ice house

22 July 1898.

Sir, the brig Halldora arrived this morning from Norway with three hundred and ninety tons of block ice for your
house. She lost a tenth part by melting, the hatches having been opened for the cook's sake.

The unloading shall begin at four in the morning, before the heat, with twenty men and six carts. Wet straw must be
laid on the quay. I shall not allow the ice to stand in front of the fish market, as happened last year, when it
flowed into the cellar of the Blue Anchor.

Elias Marchbanks, harbour master.

---

# To the mayor of Port-Aubin

3 November 1898.

Sir, you ask what the dredger has done. She worked on eighty-eight days and lifted 14,700 tons of mud out of the inner
basin, which has now eleven feet of water at the lowest tides.

Among the mud were found two cannon, an anchor with a wooden stock, a church bell without its clapper and the
wheelbarrow of the late Mr Pengelly. The bell bears the date 1588 and has been given to the rector of Havrelin.

Elias Marchbanks, harbour master.
"""

HARBOUR_LETTERS_TITLE = "Harbour master's letter book, 1898"

LIGHTHOUSE_LOG_TITLE = "Log of the lighthouse on Gull Head, 1904"

LIGHTHOUSE_LOG = """
# Log of the Gull Head lighthouse, 1904

1 January. Wind south-west, strong. Lamp lit at sixteen minutes past four. Keeper Barnaby Roscoe and assistant Peter
Shale on watch. Oil in store: 212 gallons.

9 January. Dense fog for thirty hours. The siren sounded without a stop and used a whole ton of coke. A flight of
starlings struck the glass and cracked the upper pane on the seaward side.

15 January. The relief boat could not land. We have flour for nine days and tobacco for two.

---

# February 1904

3 February. A new wick of five rings was fitted to the lamp. The flame stands higher and burns less oil.

14 February. Saw a steamer with two funnels burning blue lights to the north. Fired the gun. The lifeboat Charity was
launched from Long Strand at ten o'clock and took off seventeen people and a parrot. The steamer was the Vanguard,
with a cargo of oranges.

20 February. Oranges on every beach. The assistant has made marmalade.

---

# March 1904

2 March. The inspector came by boat and tested the clockwork that turns the lens. One turn takes ninety-six seconds,
as it should. He found the brass clean and the stairs wanting paint.

11 March. Peter Shale fell from the gallery ladder and broke his left wrist. Signalled for the doctor by flag. She
came in the evening in the crab boat.

27 March. Mild and clear. Planted early potatoes in the lee of the tower.
"""

PARISH_FR_TITLE = "Correspondance du curé de Sainte-Eulalie, 1874"

PARISH_FR = """
# Lettre du curé de Sainte-Eulalie au maire

Le 5 avril 1874.

Monsieur le maire, la tempête de la semaine sainte a emporté le coq du clocher. Il a été retrouvé par le berger dans
une mare, à deux kilomètres du bourg, la queue tordue mais la tête fière.

Le couvreur Ambroise Lenfant demande trente-sept francs pour le redresser, le dorer et le remonter. La fabrique ne
possède que vingt francs. Je vous prie donc de bien vouloir soumettre au conseil une demande de secours pour le reste.

Recevez, monsieur le maire, mes salutations respectueuses. Abbé Corentin Morvan.

---

# Réponse du maire

Le 19 avril 1874.

Monsieur le curé, le conseil a délibéré sur votre demande. Il accorde dix-sept francs pour le coq du clocher, à la
condition que la croix soit frottée de graisse en même temps et que la vieille échelle soit rendue à la commune.

Le conseil observe aussi que la sonnerie du matin, avancée à quatre heures et demie depuis le carême, réveille la
sage-femme. Il souhaite que l'on revienne à cinq heures.

Le maire, Prosper Quérouaille.

---

# Lettre du curé au sujet du cimetière

Le 8 septembre 1874.

Monsieur le maire, le mur du cimetière penche du côté de la route. Le maçon a compté vingt-trois mètres à reprendre.
Les enfants y montent pour voler les noix de la veuve Tanguy.

Je propose de planter huit ifs le long du mur neuf. Le marquis offre les arbres et le sacristain offre ses bras. Il ne
manque que la chaux, que votre four donnerait aisément.

Abbé Corentin Morvan.
"""
