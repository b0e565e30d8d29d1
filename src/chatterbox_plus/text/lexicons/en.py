"""English."""

from chatterbox_plus.text.lexicon import Lexicon, Numbers, currencies, noun, nouns, pairs


def _date(numbers: Numbers, day: int, month: str, year: int | None, before: str) -> str:
    words = f"{numbers.ordinal(day)} of {month}" if before == "the" else f"{month} {numbers.ordinal(day)}"
    return words if year is None else f"{words}, {numbers.year(year)}"


def _clock(numbers: Numbers, hour: int, minute: int) -> str:
    hours = numbers.cardinal(hour)
    if minute == 0:
        return f"{hours} o'clock" if 0 < hour <= 12 else f"{hours} hundred"
    return f"{hours} oh {numbers.cardinal(minute)}" if minute < 10 else f"{hours} {numbers.cardinal(minute)}"


def _fractions() -> dict[str, str]:
    counts = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    parts = {3: "third", 5: "fifth", 6: "sixth", 8: "eighth", 9: "ninth", 10: "tenth"}
    found = {"1/2": "one half", "1/4": "one quarter", "3/4": "three quarters"}
    for below, part in parts.items():
        for above, count in enumerate(counts[: below - 1], start=1):
            found[f"{above}/{below}"] = f"{count} {part}{'s' if above > 1 else ''}"
    return found


ENGLISH = Lexicon(
    code="en",
    decimal_mark=".",
    thousands=",",
    point="point",
    minus="minus",
    to="to",
    and_="and",
    percent=noun("percent"),
    degree=noun("degree/degrees"),
    reads_years=True,
    ordinal_marks="st|nd|rd|th|ST|ND|RD|TH",
    months=(
        ("January", "Jan"),
        ("February", "Feb"),
        ("March", "Mar"),
        ("April", "Apr"),
        ("May",),
        ("June", "Jun"),
        ("July", "Jul"),
        ("August", "Aug"),
        ("September", "Sept", "Sep"),
        ("October", "Oct"),
        ("November", "Nov"),
        ("December", "Dec"),
    ),
    numeric_date="/",
    date=_date,
    clock=_clock,
    currencies=currencies("""
        $ US$ USD | dollar/dollars | cent/cents
        € EUR | euro/euros | cent/cents
        £ GBP | pound/pounds | penny/pence
        ¥ JPY | yen
        CHF | Swiss franc/Swiss francs | centime/centimes
        ₹ INR | rupee/rupees | paisa/paise
        C$ CAD | Canadian dollar/Canadian dollars | cent/cents
        A$ AUD | Australian dollar/Australian dollars | cent/cents
        CNY | yuan
    """),
    cents=" and ",
    scales=("thousand", "million", "billion", "trillion"),
    units=nouns("""
        km kilometer/kilometers
        m meter/meters
        cm centimeter/centimeters
        mm millimeter/millimeters
        nm nanometer/nanometers
        µm micrometer/micrometers
        mi mile/miles
        ft foot/feet
        inch inch/inches
        yd yard/yards
        km² square kilometer/square kilometers
        m² square meter/square meters
        sq_ft square foot/square feet
        m³ cubic meter/cubic meters
        cm³ cubic centimeter/cubic centimeters
        kg kilogram/kilograms
        g gram/grams
        mg milligram/milligrams
        µg microgram/micrograms
        lb pound/pounds
        lbs pound/pounds
        oz ounce/ounces
        l liter/liters
        L liter/liters
        ml milliliter/milliliters
        mL milliliter/milliliters
        gal gallon/gallons
        km/h kilometer per hour/kilometers per hour
        kph kilometer per hour/kilometers per hour
        mph mile per hour/miles per hour
        m/s meter per second/meters per second
        h hour/hours
        hr hour/hours
        hrs hour/hours
        min minute/minutes
        s second/seconds
        sec second/seconds
        ms millisecond/milliseconds
        kB kilobyte/kilobytes
        KB kilobyte/kilobytes
        MB megabyte/megabytes
        GB gigabyte/gigabytes
        TB terabyte/terabytes
        Mbps megabit per second/megabits per second
        Gbps gigabit per second/gigabits per second
        Hz hertz
        kHz kilohertz
        MHz megahertz
        GHz gigahertz
        V volt/volts
        W watt/watts
        kW kilowatt/kilowatts
        kWh kilowatt hour/kilowatt hours
        MW megawatt/megawatts
        mAh milliamp hour/milliamp hours
        dB decibel/decibels
        kcal kilocalorie/kilocalories
        px pixel/pixels
    """),
    fractions=_fractions(),
    half_joint="and ",
    abbreviations=pairs("""
        Dr. = Doctor
        Drs. = Doctors
        Mr. = Mister
        Mrs. = Missus
        Ms. = Miz
        Prof. = Professor
        Gen. = General
        Sgt. = Sergeant
        Capt. = Captain
        Lt. = Lieutenant
        Col. = Colonel
        Gov. = Governor
        Sen. = Senator
        Rev. = Reverend
        Jr. = Junior
        Sr. = Senior
        Mt. = Mount
        Ft. = Fort
        Ave. = Avenue
        Blvd. = Boulevard
        St. = Saint
        Ph.D. = P H D
        vs. = versus
        e.g. = for example
        E.g. = For example
        i.e. = that is
        I.e. = That is
        etc. = et cetera
        approx. = approximately
        Approx. = Approximately
        est. = established
        dept. = department
        Dept. = Department
        Inc. = Incorporated
        Ltd. = Limited
        Corp. = Corporation
        Bros. = Brothers
        w/o = without
        w/ = with
        c/o = care of
    """),
    numbered=pairs("""
        No. = number
        no. = number
        Nos. = numbers
        nos. = numbers
        Fig. = figure
        fig. = figure
        Vol. = volume
        vol. = volume
        p. = page
        pp. = pages
        Ch. = chapter
        ch. = chapter
        Sec. = section
        sec. = section
        № = number
    """),
    closing=frozenset(["etc.", "Ph.D.", "Jr.", "Sr.", "Inc.", "Ltd.", "Corp.", "Ave.", "Blvd.", "Bros."]),
    signs=pairs("""
        & = and
        + = plus
        × = times
        ÷ = divided by
        ± = plus or minus
        ≈ = about
        ~ = about
        @ = at
        # = number
        § = section
    """)
    | {"=": "equals"},
    web={
        ".": "dot",
        "/": "slash",
        "@": "at",
        "-": "dash",
        "_": "underscore",
        ":": "colon",
        "?": "question mark",
        "=": "equals",
        "&": "and",
        "#": "hash",
        "%": "percent",
        "+": "plus",
        "~": "tilde",
    },
)
