"""Rapport sur la récolte de 1911 in the isle of Sarnel: six pages in French."""

TITLE = "Rapport sur la récolte de 1911 dans l'île de Sarnel"

TEXT = """
# Le temps et les travaux

L'année 1911 restera celle de la grande sécheresse. Il n'est tombé que trois cent quatre-vingt-un millimètres d'eau de
janvier à septembre, soit à peine plus de la moitié de la moyenne. Du cinq juillet au trente et un août, le
pluviomètre de la ferme-école n'a rien recueilli qu'une rosée.

Les labours d'hiver s'étaient pourtant faits dans de bonnes conditions. Les semis de mars levèrent bien. C'est à
partir de la Saint-Médard que les prairies ont jauni, d'abord sur les buttes calcaires, puis jusque dans le marais, où
l'on n'avait pas vu le fond des fossés depuis 1870.

Les moissons, commencées le huit juillet, ont précédé de dix-neuf jours la date habituelle.

---

# Le blé et le seigle

Le rendement moyen du blé s'établit à dix-sept hectolitres à l'hectare, contre vingt-deux en 1910. Le grain est petit
mais lourd et très sec ; les meuniers s'en disent satisfaits. La meilleure parcelle est celle de M. Urbain Jégado, aux
Hautes-Terres, qui a donné vingt-neuf hectolitres sur une ancienne luzerne.

Le seigle, plus précoce, a moins souffert. La paille, fort courte, manquera aux couvreurs et aux étables. Elle se vend
déjà soixante-huit francs les mille kilogrammes au marché de Port-Aubin.

## La batteuse à vapeur

Le syndicat agricole a mis en service une batteuse à vapeur, qui a visité trente-quatre fermes en six semaines. Le
prix est de un franc dix par sac. Un début d'incendie à la Ville-Orain a été éteint avec du lait.

---

# Les pommes et le cidre

Contre toute attente, les vergers ont bien tenu. Les pommiers enracinés dans l'argile ont donné des fruits petits et
très sucrés. On estime la récolte à deux mille neuf cents tonnes. La variété la plus répandue, la Rousse de Sarnel,
marque au densimètre mille soixante-quatorze, chiffre jamais relevé depuis la fondation de la station.

Le cidre sera donc fort, et les cidriers sont invités à le couper. Trois pressoirs ont manqué de fûts ; la tonnellerie
Escoffret a fourni deux cent dix barriques en un mois et embauché jusqu'au bedeau.

## Les guêpes

Les guêpes ont causé des dégâts considérables à Havrelin. Une prime de vingt-cinq centimes par nid détruit a été payée
à huit cent trois reprises.

---

# Le bétail et les fourrages

Le foin n'a donné qu'une coupe. Dès le mois d'août, il fallut conduire les bêtes au bord de la Lerne et couper les
rameaux des frênes. Beaucoup de cultivateurs ont vendu à perte : la vache laitière, qui valait trois cent vingt francs
au printemps, se donnait pour cent quatre-vingt-dix à la foire de septembre.

Le vétérinaire, M. Placide Lanoë, signale vingt-six cas de fièvre aphteuse, tous au hameau de la Corbinière, entrés
avec un lot de génisses du continent. Le cordon sanitaire a été maintenu quarante jours et le mal ne s'est pas étendu.

Les moutons de prés-salés, eux, n'ont jamais été si gras. Le boucher Théophile Gaudin en a expédié quatre cents par le
vapeur.

---

# Les légumes et le miel

Les pommes de terre primeurs ont été arrachées avant la chaleur et se sont vendues au plus haut. Cinquante-deux mille
paniers sont partis pour l'Angleterre entre le dix mai et le vingt juin. La récolte d'automne, en revanche, est nulle
sur les sables et médiocre ailleurs.

Les choux-fleurs de Marsh End ont monté en graine. Les oignons, bien mûris, se gardent à merveille ; les tresses de la
mère Sidonie Cadiou ont remporté la médaille d'argent du comice.

## Les ruches

La bruyère ayant fleuri tôt, les ruches ont produit en moyenne quatorze kilogrammes de miel. L'instituteur de
Sainte-Eulalie, M. Fulgence Ribot, en possède quarante et enseigne aux enfants l'usage de la ruche à cadres.

---

# Conclusions et vœux de la commission

La commission évalue la perte totale à cent soixante-quinze mille francs pour l'île entière. Elle constate que les
terres fumées au varech ont mieux résisté que les autres, et que les haies abattues depuis trente ans font partout
défaut.

Elle émet les vœux suivants : que la commune avance sans intérêt la semence d'automne aux fermiers de moins de huit
hectares ; que l'on creuse à la Ville-Orain un abreuvoir de deux cents mètres cubes ; que la ferme-école distribue
gratuitement six mille plants d'ormeau et d'épine noire pour refaire les haies.

Fait à Port-Aubin, le douze novembre 1911. Le rapporteur : Aristide Penvénan. Le président de la commission :
Hyacinthe de Boisgelin-Moreau.
"""
