import Testing

@testable import Control

@Suite("Points in time as text")
struct TimestampTests {
    @Test(
        "What is written is read again",
        arguments: [0, 1, 999, 1_000, 951_826_154_250, 1_709_164_799_999, 1_769_860_800_250, 4_102_444_799_010])
    func roundTrip(milliseconds: UInt64) {
        #expect(Timestamp.milliseconds(Timestamp.iso8601(milliseconds)) == milliseconds)
    }

    @Test(
        "Parts of a second may be tenths, hundredths or thousandths",
        arguments: [
            ("2026-01-31T12:00:00Z", 0), ("2026-01-31T12:00:00.2Z", 200), ("2026-01-31T12:00:00.25Z", 250),
            ("2026-01-31T12:00:00.05Z", 50), ("2026-01-31T12:00:00.007Z", 7), ("2026-01-31T12:00:00.250Z", 250),
        ] as [(String, UInt64)])
    func fractions(text: String, milliseconds: UInt64) {
        #expect(Timestamp.milliseconds(text) == 1_769_860_800_000 + milliseconds)
    }

    @Test("Days of leap years and leap seconds are some")
    func calendar() {
        #expect(Timestamp.milliseconds("2000-02-29T12:09:14Z") == 951_826_154_000)
        #expect(Timestamp.milliseconds("1970-01-01T00:00:00Z") == 0)
        #expect(Timestamp.milliseconds("2016-12-31T23:59:60Z") == Timestamp.milliseconds("2017-01-01T00:00:00Z"))
        #expect(Timestamp.milliseconds("1970-01-01T23:59:59.999Z") == 86_399_999)
    }

    @Test(
        "What is no time is none",
        arguments: [
            "", "Z", "2026-01-31", "2026-01-31T12:00:00", "2026-01-31T12:00Z", "2026-01-31 12:00:00Z",
            "2026/01/31T12:00:00Z", "2026-01-31T12-00-00Z", "2026/01-31T12:00:00Z", "2026-01/31T12:00:00Z",
            "2026-01-31t12:00:00Z", "2026-01-31T12-00:00Z", "2026-01-31T12:00-00Z", "2026-1-31T12:00:00.0Z",
            "1969-12-31T23:59:59Z",
            "2026-00-31T12:00:00Z", "2026-13-31T12:00:00Z", "2026-01-00T12:00:00Z", "2026-01-32T12:00:00Z",
            "2026-02-29T12:00:00Z", "2026-04-31T12:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T12:60:00Z",
            "2026-01-31T12:00:61Z", "2026-01-31T12:00:00.Z", "2026-01-31T12:00:00.0000Z", "2026-01-31T12:00:00,25Z",
            "2026-01-31T12:00:00.2xZ", "2026-01-31T12:00:00+00:00Z", "-026-01-31T12:00:00Z", "2026-01-31T12:00:00.25z",
        ])
    func none(text: String) {
        #expect(Timestamp.milliseconds(text) == nil)
    }
}
