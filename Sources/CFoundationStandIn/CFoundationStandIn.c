// The descriptor of Foundation's class DateFormatter, standing for nothing, so that a program which links FoundationEssentials
// statically does not bring all of Foundation with it, and with that the tables of eight hundred languages: half of the program.
//
// Hummingbird's URLEncodedFormDecoder and -Encoder can be told to read dates with one. No source here uses them (scripts/lint.sh
// looks), and naming the class is all that they do. Release builds only, as tests may use what they like; hidden, so that a Foundation
// that is a shared library keeps its own; weak, so that where the linker brings Foundation all the same it has its way, and nothing
// is lost but the room. Tests/Images/test_images.py watches the size.
#ifdef FOUNDATION_STAND_IN
__attribute__((used, weak, visibility("hidden"))) const unsigned char foundation_stand_in_date_formatter[64]
    __asm__("$s10Foundation13DateFormatterCMn") = {0};
#endif
