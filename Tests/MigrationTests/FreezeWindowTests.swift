import Testing

@testable import Migration

@Suite("Freeze windows")
struct FreezeWindowTests {
    /// 29 March 2026 01:00 UTC, when Berlin goes from UTC+1 to UTC+2, and 25 October 2026 01:00 UTC, when it goes back.
    private static let spring: Int64 = 1_774_746_000
    private static let autumn: Int64 = 1_792_890_000

    private func berlin(_ seconds: Int64) -> Int64 { (Self.spring..<Self.autumn).contains(seconds) ? 7_200 : 3_600 }

    /// Minutes of a day, from a moment on, that lie in the window.
    private func minutes(_ window: FreezeWindow, from: Int64, hours: Int64) -> Int {
        (0..<hours * 60).count { minute in
            let moment = from + minute * 60
            return window.contains(seconds: moment, offset: self.berlin(moment))
        }
    }

    @Test(
        "Both changes of daylight saving: local times that do not exist are never in it, those that come twice are twice"
    )
    func daylightSaving() {
        let night = FreezeWindow(zone: "Europe/Berlin", days: [.sun], from: 2 * 60, to: 3 * 60)
        #expect(self.minutes(night, from: Self.spring - 12 * 3_600, hours: 24) == 0)
        #expect(self.minutes(night, from: Self.autumn - 12 * 3_600, hours: 24) == 120)
        let whole = FreezeWindow(zone: "Europe/Berlin", days: [.sun])
        #expect(self.minutes(whole, from: Self.spring - 48 * 3_600, hours: 96) == 23 * 60)
        #expect(self.minutes(whole, from: Self.autumn - 48 * 3_600, hours: 96) == 25 * 60)
        let evening = FreezeWindow(zone: "Europe/Berlin", days: [.fri], from: 16 * 60)
        // Friday 27 March, 16:00 is 15:00 UTC; Friday 3 April, 14:00 UTC.
        let friday = Self.spring - 25 * 3_600 - 9 * 3_600
        #expect(evening.contains(seconds: friday, offset: self.berlin(friday)))
        #expect(!evening.contains(seconds: friday - 60, offset: self.berlin(friday - 60)))
        let next = friday + 7 * 86_400 - 3_600
        #expect(evening.contains(seconds: next, offset: self.berlin(next)))
        #expect(!evening.contains(seconds: next - 60, offset: self.berlin(next - 60)))
        #expect(self.minutes(evening, from: friday - 86_400, hours: 48) == 8 * 60)
    }

    @Test("Over midnight it belongs to the day on which it begins")
    func overMidnight() {
        let window = FreezeWindow(zone: "UTC", days: [.fri], from: 22 * 60, to: 6 * 60)
        // 2 January 1970 was a Friday.
        let friday: Int64 = 86_400
        for (hour, expected) in [(-1, false), (5, false), (21, false), (22, true), (29, true), (30, false)]
            as [(Int64, Bool)]
        {
            #expect(window.contains(seconds: friday + hour * 3_600, offset: 0) == expected, "\(hour)")
        }
    }

    @Test("Dates, both ends among them; also before 1970 and in leap years")
    func dates() {
        func day(_ year: Int, _ month: Int, _ day: Int) -> FreezeWindow.Day {
            .init(year: year, month: month, day: day)
        }
        let window = FreezeWindow(zone: "UTC", dates: day(2026, 12, 24)...day(2027, 1, 2))
        let christmas: Int64 = 1_798_070_400
        #expect(!window.contains(seconds: christmas - 1, offset: 0))
        #expect(
            window.contains(seconds: christmas, offset: 0) && window.contains(seconds: christmas - 1, offset: 3_600))
        #expect(window.contains(seconds: christmas + 10 * 86_400 - 1, offset: 0))
        #expect(!window.contains(seconds: christmas + 10 * 86_400, offset: 0))
        let leap = FreezeWindow(zone: "UTC", dates: day(1968, 2, 29)...day(1968, 2, 29))
        // 672 days before 1970.
        #expect(
            leap.contains(seconds: -672 * 86_400 + 86_400, offset: 0)
                != leap.contains(seconds: -672 * 86_400, offset: 0))
    }

    @Test("Every day of two centuries has the date after the one before it")
    func calendar() {
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        var (year, month, date) = (1_900, 1, 1)
        for day in Int64(-25_567)..<Int64(47_482) {
            let window = FreezeWindow(
                zone: "UTC",
                dates: .init(year: year, month: month, day: date)...(.init(year: year, month: month, day: date)))
            #expect(window.contains(seconds: day * 86_400 + 43_200, offset: 0))
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            date += 1
            if date > lengths[month - 1] + (month == 2 && isLeap ? 1 : 0) { (month, date) = (month + 1, 1) }
            if month > 12 { (year, month) = (year + 1, 1) }
        }
        #expect(year == 2_100)
    }
}

@Suite("The verdict of retirement")
struct VerdictTests {
    private var good: RetirementVerdict.Facts {
        .init(share: 1_000_000, quiet: 604_800_000, hold: 604_800_000, peak: 80, capacity: 100, headroom: 0.8)
    }

    private func obstacles(_ change: (inout RetirementVerdict.Facts) -> Void) -> [RetirementVerdict.Obstacle] {
        var facts = self.good
        change(&facts)
        let verdict = RetirementVerdict(facts)
        #expect(verdict.isRetirable == verdict.obstacles.isEmpty)
        return verdict.obstacles
    }

    @Test("Each condition stands in the way by itself")
    func conditions() {
        #expect(self.obstacles { _ in }.isEmpty)
        #expect(self.obstacles { $0.quiet = nil }.isEmpty)
        #expect(self.obstacles { $0.share = 999_999 } == [.share(999_999)])
        #expect(self.obstacles { $0.quiet = 604_799_999 } == [.notQuiet(quiet: 604_799_999, wanted: 604_800_000)])
        #expect(self.obstacles { $0.onlyRoutes = ["ops"] } == [.onlyRoute("ops")])
        #expect(self.obstacles { $0.classes = ["d-1"] } == [.differenceClass("d-1")])
        #expect(self.obstacles { $0.unproven = ["/a/*"] } == [.unproven("/a/*")])
        #expect(self.obstacles { $0.peak = 80.1 } == [.capacity(peak: 80.1, allowed: 80)])
        #expect(self.obstacles { $0.capacity = 0 } == [.capacity(peak: 80, allowed: 0)])
        #expect(self.obstacles { $0.peak = .nan }.count == 1)
    }

    @Test("What needs the old side, the latest first")
    func needs() {
        var facts = self.good
        facts.needs = [
            .init(route: "a", template: "/", cause: .failover, age: 50, count: 1, perDay: 1),
            .init(route: "b", template: "/", cause: .override, age: 5, count: 9, perDay: 2),
        ]
        #expect(RetirementVerdict(facts).needs.map(\.route) == ["b", "a"])
    }
}
