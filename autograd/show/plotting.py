"""What all plots need: matplotlib, which is imported when something is plotted."""


def pyplot():
    """matplotlib.pyplot; ImportError saying how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError(
            "plot needs matplotlib: pip install matplotlib, or pip install 'speelpenning[learn]'"
        ) from None
    return plt
