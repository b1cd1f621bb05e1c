import Reactor
import Testing

@testable import Control

@Suite("Time zones")
struct ZoneTableTests {
    struct Moment: Sendable {
        var zone: String
        var seconds: Int64
        var offset: Int64
    }

    /// As Python's zoneinfo tells them: around changes, in the past, and behind the last transition of the files.
    static let moments: [Moment] = [
        ("Europe/Berlin", 1_774_745_999, 3_600), ("Europe/Berlin", 1_774_746_000, 7_200),
        ("Europe/Berlin", 2_000_000_000, 7_200), ("Europe/Berlin", 4_102_444_800, 3_600),
        ("Europe/Berlin", 4_118_000_000, 7_200), ("Europe/Berlin", -2_000_000_000, 3_600),
        ("America/New_York", 1_774_746_000, -14_400), ("America/New_York", 4_102_444_800, -18_000),
        ("Australia/Lord_Howe", 1_793_494_799, 39_600), ("Australia/Lord_Howe", 4_102_444_800, 39_600),
        ("Australia/Lord_Howe", 4_118_000_000, 37_800), ("Asia/Kolkata", 4_118_000_000, 19_800),
        ("America/Santiago", 2_000_000_000, -14_400), ("America/Santiago", 4_102_444_800, -10_800),
        ("America/Santiago", -2_000_000_000, -16_965), ("UTC", 0, 0),
    ].map { Moment(zone: $0.0, seconds: $0.1, offset: $0.2) }

    @Test("Offsets are the database's", arguments: Self.moments)
    func offsets(moment: Moment) throws {
        let zone = try #require(ZoneTable.read(moment.zone))
        #expect(zone.offset(at: moment.seconds) == moment.offset)
    }

    @Test("The rule alone says the same, a year long, hour by hour")
    func rule() throws {
        for (name, text) in [
            ("Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3"), ("America/New_York", "EST5EDT,M3.2.0,M11.1.0"),
            ("Australia/Lord_Howe", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"), ("Asia/Kolkata", "IST-5:30"),
            ("America/Santiago", "<-04>4<-03>,M9.1.6/24,M4.1.6/24"),
        ] {
            let (zone, rule) = (try #require(ZoneTable.read(name)), try #require(ZoneRule(text)))
            for hour in 0..<(2 * 366 * 24) {
                let seconds = 1_767_225_600 + Int64(hour) * 3_600
                #expect(zone.offset(at: seconds) == rule.offset(at: seconds), "\(name) \(seconds)")
            }
        }
    }

    @Test("What is no zone is none", arguments: ["Europe/Atlantis", "zone.tab", "", "Europe"])
    func unknown(zone: String) { #expect(ZoneTable.read(zone) == nil) }

    @Test("A cut file is none, at every length, and traps nothing")
    func cut() throws {
        let bytes = try WholeFile.read("/usr/share/zoneinfo/Europe/Berlin")
        for length in stride(from: 0, to: bytes.count, by: 7) {
            _ = ZoneTable(Array(bytes[..<length]))?.offset(at: 1_774_746_000)
        }
    }

    @Test(
        "What is no rule is none",
        arguments: ["", "C", "CET", "CET-1CEST", "CET-1CEST,M13.1.0,M1.1.0", "CET-1CEST,M3.5.0"])
    func malformed(text: String) { #expect(ZoneRule(text) == nil) }

    @Test("Days of a rule have up to three digits, and an offset may too")
    func digits() throws {
        // Day 60 with the leap day left out is the first of March, day 304 the last of October.
        let rule = try #require(ZoneRule("CET-1CEST,J60/2,J304/3"))
        for (seconds, offset) in [
            (1_772_326_799, 3_600), (1_772_326_800, 7_200), (1_793_408_399, 7_200), (1_793_408_400, 3_600),
        ] as [(Int64, Int64)] { #expect(rule.offset(at: seconds) == offset, "\(seconds)") }
        // In leap years too; a plain number counts the leap day: 59 is the first of March, or the 29th of February.
        for (seconds, offset) in [
            (1_835_485_199, 3_600), (1_835_485_200, 7_200), (1_856_566_799, 7_200), (1_856_566_800, 3_600),
        ] as [(Int64, Int64)] { #expect(rule.offset(at: seconds) == offset, "\(seconds)") }
        let counting = try #require(ZoneRule("CET-1CEST,59/2,J304/3"))
        for (seconds, offset) in [
            (1_803_862_799, 3_600), (1_803_862_800, 7_200), (1_835_398_799, 3_600), (1_835_398_800, 7_200),
        ] as [(Int64, Int64)] { #expect(counting.offset(at: seconds) == offset, "\(seconds)") }
        #expect(ZoneRule("CET-1CEST,J60/2,J1000/3") == nil)
    }
}
