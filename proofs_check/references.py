"""The literature that statements, proof steps and commands cite, and BibTeX for it."""

from __future__ import annotations

from collections.abc import Iterable

from pnc.errors import InvalidInputError

__all__ = ["CITED_BY", "ENTRIES", "STATEMENTS", "USED_BY", "bibtex"]

STATEMENTS = (
    *(f"T{i}" for i in range(1, 10)),
    *(f"U{i}" for i in range(1, 7)),
    *(f"Y{i}" for i in range(1, 6)),
    "R1",
    "R3",
    "R6",
    "V1",
    "V3",
    "E2",
    "N1",
    "RL1",
    "RL3",
)

ENTRIES: dict[str, str] = {
    "wang2025layerwise": """@article{wang2025layerwise,
  author  = {Wang, Peng and Li, Xiao and Yaras, Can and Zhu, Zhihui and Balzano, Laura and Hu, Wei and Qu, Qing},
  title   = {Understanding Deep Representation Learning via Layerwise Feature Compression and Discrimination},
  journal = {Journal of Machine Learning Research},
  volume  = {26},
  number  = {220},
  pages   = {1--61},
  year    = {2025}
}""",
    "bhatia1997matrix": """@book{bhatia1997matrix,
  author    = {Bhatia, Rajendra},
  title     = {Matrix Analysis},
  series    = {Graduate Texts in Mathematics},
  volume    = {169},
  publisher = {Springer},
  year      = {1997}
}""",
    "horn2013matrix": """@book{horn2013matrix,
  author    = {Horn, Roger A. and Johnson, Charles R.},
  title     = {Matrix Analysis},
  edition   = {2},
  publisher = {Cambridge University Press},
  year      = {2013}
}""",
    "gershgorin1931": """@article{gershgorin1931,
  author  = {Gerschgorin, Semyon},
  title   = {{\\"U}ber die {A}bgrenzung der {E}igenwerte einer {M}atrix},
  journal = {Izvestiya Akademii Nauk SSSR, Otdelenie Matematicheskikh i Estestvennykh Nauk},
  pages   = {749--754},
  year    = {1931}
}""",
    "marshall1990matrix": """@article{marshall1990matrix,
  author  = {Marshall, Albert W. and Olkin, Ingram},
  title   = {Matrix versions of the {C}auchy and {K}antorovich inequalities},
  journal = {Aequationes Mathematicae},
  volume  = {40},
  pages   = {89--93},
  year    = {1990}
}""",
    "fan1949theorem": """@article{fan1949theorem,
  author  = {Fan, Ky},
  title   = {On a theorem of {W}eyl concerning eigenvalues of linear transformations {I}},
  journal = {Proceedings of the National Academy of Sciences},
  volume  = {35},
  number  = {11},
  pages   = {652--655},
  year    = {1949}
}""",
    "loewner1934": """@article{loewner1934,
  author  = {L{\\"o}wner, Karl},
  title   = {{\\"U}ber monotone {M}atrixfunktionen},
  journal = {Mathematische Zeitschrift},
  volume  = {38},
  pages   = {177--216},
  year    = {1934}
}""",
    "heinz1951": """@article{heinz1951,
  author  = {Heinz, Erhard},
  title   = {Beitr{\\"a}ge zur {S}t{\\"o}rungstheorie der {S}pektralzerlegung},
  journal = {Mathematische Annalen},
  volume  = {123},
  pages   = {415--438},
  year    = {1951}
}""",
    "bauer1960wielandt": """@article{bauer1960wielandt,
  author  = {Bauer, Friedrich L. and Householder, Alston S.},
  title   = {Some inequalities involving the {E}uclidean condition of a matrix},
  journal = {Numerische Mathematik},
  volume  = {2},
  pages   = {308--311},
  year    = {1960}
}""",
    "jensen1906": """@article{jensen1906,
  author  = {Jensen, Johan L. W. V.},
  title   = {Sur les fonctions convexes et les in{\\'e}galit{\\'e}s entre les valeurs moyennes},
  journal = {Acta Mathematica},
  volume  = {30},
  pages   = {175--193},
  year    = {1906}
}""",
    "stieltjes1894": """@article{stieltjes1894,
  author  = {Stieltjes, Thomas Jan},
  title   = {Recherches sur les fractions continues},
  journal = {Annales de la Facult{\\'e} des Sciences de Toulouse},
  volume  = {8},
  pages   = {J1--J122},
  year    = {1894}
}""",
    "chebyshev1867": """@article{chebyshev1867,
  author  = {Tch{\\'e}bychef, Pafnuty},
  title   = {Des valeurs moyennes},
  journal = {Journal de Math{\\'e}matiques Pures et Appliqu{\\'e}es},
  volume  = {12},
  pages   = {177--184},
  year    = {1867}
}""",
    "chan1979updating": """@techreport{chan1979updating,
  author      = {Chan, Tony F. and Golub, Gene H. and LeVeque, Randall J.},
  title       = {Updating formulae and a pairwise algorithm for computing sample variances},
  institution = {Stanford University},
  number      = {STAN-CS-79-773},
  year        = {1979}
}""",
    "penrose1955": """@article{penrose1955,
  author  = {Penrose, Roger},
  title   = {A generalized inverse for matrices},
  journal = {Mathematical Proceedings of the Cambridge Philosophical Society},
  volume  = {51},
  number  = {3},
  pages   = {406--413},
  year    = {1955}
}""",
    "he2023law": """@article{he2023law,
  author  = {He, Hangfeng and Su, Weijie J.},
  title   = {A law of data separation in deep learning},
  journal = {Proceedings of the National Academy of Sciences},
  volume  = {120},
  number  = {36},
  pages   = {e2221704120},
  year    = {2023}
}""",
    "sanyal2018robustness": """@article{sanyal2018robustness,
  author  = {Sanyal, Amartya and Kanade, Varun and Torr, Philip H. S. and Dokania, Puneet K.},
  title   = {Robustness via Deep Low-Rank Representations},
  journal = {arXiv preprint arXiv:1804.07090},
  year    = {2018}
}""",
    "he2015delving": """@inproceedings{he2015delving,
  author    = {He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian},
  title     = {Delving deep into rectifiers: Surpassing human-level performance on {ImageNet} classification},
  booktitle = {IEEE International Conference on Computer Vision},
  pages     = {1026--1034},
  year      = {2015}
}""",
    "saxe2014exact": """@inproceedings{saxe2014exact,
  author    = {Saxe, Andrew M. and McClelland, James L. and Ganguli, Surya},
  title     = {Exact solutions to the nonlinear dynamics of learning in deep linear neural networks},
  booktitle = {International Conference on Learning Representations},
  year      = {2014}
}""",
    "arora2018optimization": """@inproceedings{arora2018optimization,
  author    = {Arora, Sanjeev and Cohen, Nadav and Hazan, Elad},
  title     = {On the optimization of deep networks: Implicit acceleration by overparameterization},
  booktitle = {International Conference on Machine Learning},
  pages     = {244--253},
  year      = {2018}
}""",
    "yaras2023law": """@article{yaras2023law,
  author  = {Yaras, Can and Wang, Peng and Hu, Wei and Zhu, Zhihui and Balzano, Laura and Qu, Qing},
  title   = {The law of parsimony in gradient descent for learning deep linear networks},
  journal = {arXiv preprint arXiv:2306.01154},
  year    = {2023}
}""",
    "coddington1955theory": """@book{coddington1955theory,
  author    = {Coddington, Earl A. and Levinson, Norman},
  title     = {Theory of Ordinary Differential Equations},
  publisher = {McGraw-Hill},
  year      = {1955}
}""",
    "higham2002accuracy": """@book{higham2002accuracy,
  author    = {Higham, Nicholas J.},
  title     = {Accuracy and Stability of Numerical Algorithms},
  edition   = {2},
  publisher = {SIAM},
  year      = {2002}
}""",
    "johansson2017arb": """@article{johansson2017arb,
  author  = {Johansson, Fredrik},
  title   = {Arb: Efficient arbitrary-precision midpoint-radius interval arithmetic},
  journal = {IEEE Transactions on Computers},
  volume  = {66},
  number  = {8},
  pages   = {1281--1292},
  year    = {2017}
}""",
    "demoura2008z3": """@inproceedings{demoura2008z3,
  author    = {de Moura, Leonardo and Bj{\\o}rner, Nikolaj},
  title     = {{Z3}: An efficient {SMT} solver},
  booktitle = {Tools and Algorithms for the Construction and Analysis of Systems},
  pages     = {337--340},
  year      = {2008}
}""",
    "meurer2017sympy": """@article{meurer2017sympy,
  author  = {Meurer, Aaron and Smith, Christopher P. and Paprocki, Mateusz and others},
  title   = {{SymPy}: symbolic computing in {P}ython},
  journal = {PeerJ Computer Science},
  volume  = {3},
  pages   = {e103},
  year    = {2017}
}""",
    "cho2009kernel": """@inproceedings{cho2009kernel,
  author    = {Cho, Youngmin and Saul, Lawrence K.},
  title     = {Kernel Methods for Deep Learning},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {22},
  year      = {2009}
}""",
    "lee2018deep": """@inproceedings{lee2018deep,
  author    = {Lee, Jaehoon and Bahri, Yasaman and Novak, Roman and Schoenholz, Samuel S. and
             Pennington, Jeffrey and Sohl-Dickstein, Jascha},
  title     = {Deep Neural Networks as {G}aussian Processes},
  booktitle = {International Conference on Learning Representations},
  year      = {2018}
}""",
    "he2016deep": """@inproceedings{he2016deep,
  author    = {He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian},
  title     = {Deep residual learning for image recognition},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  pages     = {770--778},
  year      = {2016}
}""",
    "simonyan2015very": """@inproceedings{simonyan2015very,
  author    = {Simonyan, Karen and Zisserman, Andrew},
  title     = {Very deep convolutional networks for large-scale image recognition},
  booktitle = {International Conference on Learning Representations},
  year      = {2015}
}""",
    "papyan2020prevalence": """@article{papyan2020prevalence,
  author  = {Papyan, Vardan and Han, X. Y. and Donoho, David L.},
  title   = {Prevalence of neural collapse during the terminal phase of deep learning training},
  journal = {Proceedings of the National Academy of Sciences},
  volume  = {117},
  number  = {40},
  pages   = {24652--24663},
  year    = {2020}
}""",
    "rauber2020foolbox": """@article{rauber2020foolbox,
  author  = {Rauber, Jonas and Zimmermann, Roland and Bethge, Matthias and Brendel, Wieland},
  title   = {Foolbox Native: Fast adversarial attacks to benchmark the robustness of machine learning models in
             {PyTorch}, {TensorFlow}, and {JAX}},
  journal = {Journal of Open Source Software},
  volume  = {5},
  number  = {53},
  pages   = {2607},
  year    = {2020}
}""",
    "goodfellow2015explaining": """@inproceedings{goodfellow2015explaining,
  author    = {Goodfellow, Ian J. and Shlens, Jonathon and Szegedy, Christian},
  title     = {Explaining and harnessing adversarial examples},
  booktitle = {International Conference on Learning Representations},
  year      = {2015}
}""",
    "madry2018towards": """@inproceedings{madry2018towards,
  author    = {Madry, Aleksander and Makelov, Aleksandar and Schmidt, Ludwig and Tsipras, Dimitris and Vladu, Adrian},
  title     = {Towards deep learning models resistant to adversarial attacks},
  booktitle = {International Conference on Learning Representations},
  year      = {2018}
}""",
    "moosavi2016deepfool": """@inproceedings{moosavi2016deepfool,
  author    = {Moosavi-Dezfooli, Seyed-Mohsen and Fawzi, Alhussein and Frossard, Pascal},
  title     = {{DeepFool}: A simple and accurate method to fool deep neural networks},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  pages     = {2574--2582},
  year      = {2016}
}""",
    "athalye2018obfuscated": """@inproceedings{athalye2018obfuscated,
  author    = {Athalye, Anish and Carlini, Nicholas and Wagner, David},
  title     = {Obfuscated gradients give a false sense of security: Circumventing defenses to adversarial examples},
  booktitle = {International Conference on Machine Learning},
  pages     = {274--283},
  year      = {2018}
}""",
    "carlini2019evaluating": """@article{carlini2019evaluating,
  author  = {Carlini, Nicholas and Athalye, Anish and Papernot, Nicolas and Brendel, Wieland and Rauber, Jonas and
             Tsipras, Dimitris and Goodfellow, Ian and Madry, Aleksander and Kurakin, Alexey},
  title   = {On evaluating adversarial robustness},
  journal = {arXiv preprint arXiv:1902.06705},
  year    = {2019}
}""",
}

CITED_BY: dict[str, tuple[str, ...]] = {
    "T1": ("horn2013matrix", "loewner1934", "heinz1951", "johansson2017arb"),
    "T2": ("loewner1934", "heinz1951", "johansson2017arb"),
    "T3": ("penrose1955", "johansson2017arb"),
    "T4": ("he2023law", "penrose1955", "demoura2008z3"),
    "T5": ("gershgorin1931", "demoura2008z3", "bhatia1997matrix", "marshall1990matrix", "johansson2017arb"),
    "T6": ("johansson2017arb", "demoura2008z3", "bauer1960wielandt", "jensen1906"),
    "T7": ("stieltjes1894", "demoura2008z3", "jensen1906"),
    "T8": ("horn2013matrix", "demoura2008z3", "higham2002accuracy"),
    "T9": ("he2015delving",),
    "U1": ("sanyal2018robustness", "chan1979updating", "fan1949theorem", "demoura2008z3", "johansson2017arb"),
    "U2": ("fan1949theorem", "demoura2008z3", "johansson2017arb"),
    "U3": ("demoura2008z3", "chebyshev1867"),
    "U4": ("fan1949theorem", "demoura2008z3", "chebyshev1867", "johansson2017arb"),
    "U5": ("demoura2008z3",),
    "U6": ("demoura2008z3", "jensen1906"),
    "Y1": ("arora2018optimization", "saxe2014exact", "coddington1955theory", "demoura2008z3", "johansson2017arb"),
    "Y2": ("yaras2023law",),
    "Y3": (),
    "Y4": ("yaras2023law",),
    "Y5": ("arora2018optimization",),
    "R1": ("arora2018optimization", "demoura2008z3"),
    "R3": ("marshall1990matrix", "demoura2008z3", "johansson2017arb"),
    "R6": ("arora2018optimization",),
    "V1": ("arora2018optimization",),
    "V3": ("demoura2008z3",),
    "E2": (),
    "N1": ("cho2009kernel", "lee2018deep", "meurer2017sympy", "johansson2017arb"),
    "RL1": ("meurer2017sympy",),
    "RL3": ("demoura2008z3", "meurer2017sympy"),
}
"""Keys of every statement: the work it comes from or speaks of, then what its proof steps cite."""

USED_BY: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "predict": (("T1", "T2", "T3", "T4", "T5", "T6"), ()),
    "simulate": ((*(f"T{i}" for i in range(1, 10)), "Y1", "Y2", "Y3", "Y4", "Y5"), ()),
    "sweep": ((*(f"T{i}" for i in range(1, 10)), "Y1", "Y2", "Y3", "Y4", "Y5"), ()),
    "train": ((), ("simonyan2015very", "he2016deep", "sanyal2018robustness")),
    "measure": (("T4",), ("chan1979updating", "papyan2020prevalence")),
    "compare": (("T2", "T6", "T7", "U1", "U2", "U3", "U4"), ("he2023law",)),
    "compress": (("U1", "U4"), ("sanyal2018robustness",)),
    "robustness": (
        (),
        (
            "sanyal2018robustness",
            "rauber2020foolbox",
            "goodfellow2015explaining",
            "madry2018towards",
            "moosavi2016deepfool",
            "athalye2018obfuscated",
            "carlini2019evaluating",
        ),
    ),
}
"""Command → the statements that it applies, and keys of what else it rests on."""


def bibtex(names: Iterable[str]) -> str:
    """BibTeX of everything that the given statements and commands cite, without repeats, in their order.

    Args:
        names: statements such as `"T5"`, or commands such as `"robustness"`.

    Raises:
        InvalidInputError: neither a statement nor a command.

    >>> print(bibtex(["Y2"]).splitlines()[0])
    @article{wang2025layerwise,
    """
    keys: dict[str, None] = {"wang2025layerwise": None}
    for name in names:
        statements, further = USED_BY.get(name, ((name.upper(),), ()))
        for statement in statements:
            if statement not in CITED_BY:
                raise InvalidInputError(
                    got=f"{name!r}",
                    expected=f"a statement ({', '.join(STATEMENTS)}) or a command ({', '.join(USED_BY)})",
                    next_step="pass for instance T5 or simulate",
                )
            keys |= dict.fromkeys(CITED_BY[statement])
        keys |= dict.fromkeys(further)
    return "\n\n".join(ENTRIES[key] for key in keys)
