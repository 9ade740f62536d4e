"""Registre des délibérations of Sainte-Eulalie for 1887: eight pages in French."""

TITLE = "Registre des délibérations de la commune de Sainte-Eulalie, année 1887"

TEXT = """
# Séance du 16 janvier 1887

L'an mil huit cent quatre-vingt-sept, le seize janvier, le conseil municipal de Sainte-Eulalie s'est réuni au lieu
ordinaire de ses séances sous la présidence de M. Barnabé Quérouaille, maire. Étaient présents MM. Lestiboudois,
Flavigny, Houdemare, Pasquereau et Tréhoret. M. Pasquereau a été élu secrétaire.

## Réparation du lavoir

Monsieur le maire expose que le toit du lavoir de la rue Basse s'est effondré sous la neige dans la nuit des Rois et
que les laveuses travaillent désormais à découvert. Le charpentier Gratien Malherbe demande cent quatre-vingt-cinq
francs pour refaire la charpente en châtaignier et la couvrir d'ardoises.

Le conseil, considérant que le lavoir sert à plus de soixante ménages, accepte le devis à l'unanimité et décide que
les travaux seront achevés avant Pâques.

---

# Séance du 20 février 1887

Présents : tous les membres en exercice, sauf M. Houdemare, excusé pour cause de maladie.

## Le garde champêtre

Le maire rappelle que le garde champêtre, Isidore Cloarec, a quitté ses fonctions après vingt-huit ans de service.
Quatre candidats se sont présentés. Le conseil a retenu le nommé Anatole Bruneval, ancien caporal, qui sait lire,
écrire et nager. Son traitement annuel est fixé à quatre cent vingt francs, avec un logement de deux pièces au-dessus
du four banal et une paire de bottes tous les dix-huit mois.

## Divagation des chèvres

Plusieurs habitants se plaignent des chèvres laissées libres sur le chemin du cimetière, où elles broutent les
couronnes. Une amende de un franc cinquante par tête est instituée. Le produit en sera versé au bureau de
bienfaisance.

---

# Séance du 20 mars 1887

Présents : tous les membres. Le public, venu nombreux, se tient dans l'escalier.

## La nouvelle cloche

Le conseil examine la souscription ouverte pour remplacer la cloche fêlée de l'église. Elle a produit deux mille trois
cent quarante francs, donnés par cent douze familles. Le fondeur Évariste Camondeau, établi à Brémeur, propose une
cloche de six cent cinquante kilogrammes donnant le fa dièse. Elle portera le nom d'Eulalie-Marguerite, en mémoire de
la donatrice principale.

Le conseil ajoute trois cents francs pris sur les fonds libres, à la condition que l'ancienne cloche soit reprise au
poids du bronze et que le transport par eau reste à la charge du fondeur. La bénédiction est prévue pour le dimanche
qui suivra l'Ascension.

---

# Séance du 15 mai 1887

Présents : MM. Quérouaille, Lestiboudois, Flavigny, Houdemare et Tréhoret.

## Le chemin de la Corbinière

Le chemin vicinal qui conduit au hameau de la Corbinière n'est praticable ni aux charrettes ni, en hiver, aux enfants
de l'école. L'agent voyer, M. Casimir Dubosq, en estime la réfection à neuf cent soixante francs pour une longueur de
mille quatre cents mètres. Il faudra empierrer sur vingt centimètres, creuser un fossé du côté du coteau et poser
trois aqueducs en pierre sèche.

Le conseil vote trois journées de prestations par homme valide et par attelage. Les habitants du hameau fourniront la
pierre de leurs propres carrières. M. Flavigny s'abstient, possédant un champ au bord du chemin.

---

# Séance du 19 juin 1887

Présents : tous les membres.

## L'école des filles

L'institutrice, Mademoiselle Philomène Audren, réclame un second poêle, vingt encriers de porcelaine et une carte
murale de l'île. L'école compte maintenant soixante-sept élèves dans une salle prévue pour quarante-cinq. Le conseil
accorde les encriers et la carte. Pour la salle, il charge M. Tréhoret d'étudier la location de la maison Guillemot,
dont le rez-de-chaussée est vacant depuis la Saint-Michel.

## Le feu de la Saint-Jean

Le conseil autorise le feu de la Saint-Jean sur la grève et non plus sur la place, à cause de la paille du nouveau
marché couvert. Les pompiers se tiendront prêts avec deux seaux chacun. Le cidre sera offert par le maire sur ses
propres deniers.

---

# Séance du 21 août 1887

Présents : MM. Quérouaille, Flavigny, Houdemare, Pasquereau et Tréhoret.

## Le marché aux bestiaux

Considérant que les marchands du continent manquent la marée du mardi, le conseil décide de déplacer le marché aux
bestiaux au vendredi, à compter du premier octobre. Le droit de place est porté à trente centimes par bœuf, dix
centimes par mouton et cinq centimes par oie. Les veaux de moins de six semaines ne paieront rien.

## Un procès avec Havrelin

La commune voisine de Havrelin prétend à la propriété des varechs rejetés au sud de la roche du Moine. Le maire
produit un titre de 1694 qui attribue cette grève à Sainte-Eulalie. Le conseil autorise le maire à plaider et désigne
maître Onésime Talvat comme avocat.

---

# Séance du 16 octobre 1887

Présents : tous les membres, à l'exception de M. Lestiboudois, en voyage.

## L'éclairage des rues

Le maire propose d'acquérir douze réverbères à pétrole. M. Pasquereau juge la dépense déraisonnable, puisque les gens
honnêtes sont couchés à neuf heures. M. Tréhoret répond que le médecin, lui, ne l'est pas. Le conseil adopte le
principe de neuf réverbères seulement : quatre sur la place, deux au port, un devant la sage-femme, un au lavoir et un
à l'entrée du pont. L'allumeur recevra onze francs par mois et s'abstiendra les nuits de pleine lune.

## Secours

Une somme de quarante-cinq francs est accordée à la veuve du pilote Mathurin Kerdoncuff, perdu en mer le deux
septembre.

---

# Séance du 18 décembre 1887

Présents : tous les membres.

## Budget de l'année 1888

Les recettes sont arrêtées à treize mille deux cent six francs et les dépenses à douze mille neuf cent
quatre-vingt-sept francs, soit un excédent de deux cent dix-neuf francs. Le principal revenu demeure la coupe des
peupliers du marais, adjugée à quatre mille cent francs au scieur Lubin Rochefade.

## La fontaine de la place

Le conseil prend connaissance du legs de Madame Hermine de Kergarouan, qui laisse à la commune cinq mille francs pour
élever une fontaine sur la place. Elle exige que l'eau y soit gratuite pour tous, que les chevaux y boivent à part et
que nulle statue d'homme politique n'y soit jamais posée. Le legs est accepté avec reconnaissance. La séance est levée
à onze heures du soir.
"""
