/// A time in which no share rises, in the local time of a zone.
package struct FreezeWindow: Sendable, Equatable {
    package struct Day: Sendable, Equatable, Comparable {
        package var year: Int
        package var month: Int
        package var day: Int

        package init(year: Int, month: Int, day: Int) {
            self.year = year
            self.month = month
            self.day = day
        }

        package static func < (left: Day, right: Day) -> Bool {
            (left.year, left.month, left.day) < (right.year, right.month, right.day)
        }
    }

    package enum Weekday: Int, Sendable, CaseIterable {
        case mon, tue, wed, thu, fri, sat, sun
    }

    /// An IANA zone. Its offset at a moment is an argument: the tables are the system's.
    package var zone: String
    /// On which it begins; nil is every day.
    package var days: Set<Weekday>?
    /// First and last day; nil is always.
    package var dates: ClosedRange<Day>?
    /// Minutes of the day. An end at or before the beginning is on the day after.
    package var from: Int
    package var to: Int

    private static let dayMinutes = 1_440

    package init(
        zone: String, days: Set<Weekday>? = nil, dates: ClosedRange<Day>? = nil, from: Int = 0, to: Int = 1_440
    ) {
        self.zone = zone
        self.days = days
        self.dates = dates
        self.from = from
        self.to = to
    }

    var isTimeOfDay: Bool {
        (0..<Self.dayMinutes).contains(self.from) && (0...Self.dayMinutes).contains(self.to)
    }

    /// Whether a moment lies in the window. `offset` is the zone's at that moment, in seconds east of UTC.
    package func contains(seconds: Int64, offset: Int64) -> Bool {
        let local = seconds + offset
        let day = (local >= 0 ? local : local - 86_399) / 86_400
        let minute = Int(local - day * 86_400) / 60
        if self.from < self.to { return self.begins(on: day) && minute >= self.from && minute < self.to }
        return (self.begins(on: day) && minute >= self.from) || (self.begins(on: day - 1) && minute < self.to)
    }

    private func begins(on day: Int64) -> Bool {
        // 1 January 1970 was a Thursday.
        let number = Int((day % 7 + 7 + 3) % 7)
        if let days = self.days, Weekday(rawValue: number).map({ !days.contains($0) }) ?? true { return false }
        return self.dates.map { $0.contains(Self.civil(day)) } ?? true
    }

    /// The date of a day counted from 1 January 1970, in the calendar that all use (years from March on, eras of 400).
    static func civil(_ day: Int64) -> Day {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return Day(year: Int(year), month: Int(month), day: Int(dayOfYear - (153 * shiftedMonth + 2) / 5) + 1)
    }
}
