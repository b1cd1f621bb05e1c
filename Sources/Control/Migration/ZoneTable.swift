import Reactor

/// Offsets of a time zone, as the system's database has them (TZif, RFC 9636).
package struct ZoneTable: Sendable, Equatable {
    /// Where the system keeps them.
    package static let folder = "/usr/share/zoneinfo"

    /// Seconds since 1970 at which another offset begins, rising.
    private var transitions: [Int64] = []
    /// Seconds east of UTC from each transition on.
    private var offsets: [Int64] = []
    /// Before the first transition.
    private var first: Int64 = 0
    /// Behind the last one; nil: the last offset stays.
    private var rule: ZoneRule?

    /// Blocks for as long as the file system takes. nil: there is no such zone, or its file is none.
    package static func read(_ zone: String) -> ZoneTable? {
        // What everybody means by it needs no file.
        if zone == "UTC" || zone == "Etc/UTC" { return ZoneTable() }
        return (try? WholeFile.read("\(self.folder)/\(zone)", waits: false)).flatMap { ZoneTable($0) }
    }

    private init() {}

    package init?(_ bytes: [UInt8]) {
        guard let old = Header(bytes, at: 0) else { return nil }
        guard old.version >= UInt8(ascii: "2") else {
            self.read(bytes, old, at: Header.size, width: 4)
            return
        }
        let start = Header.size + old.size(width: 4)
        guard let header = Header(bytes, at: start), header.typeCount > 0,
            bytes.count >= start + Header.size + header.size(width: 8)
        else { return nil }
        self.read(bytes, header, at: start + Header.size, width: 8)
        let footer = bytes[(start + Header.size + header.size(width: 8))...]
        let text = footer.dropFirst().prefix { $0 != UInt8(ascii: "\n") }
        self.rule = ZoneRule(String(decoding: text, as: UTF8.self))
    }

    private mutating func read(_ bytes: [UInt8], _ header: Header, at start: Int, width: Int) {
        guard bytes.count >= start + header.size(width: width), header.typeCount > 0 else { return }
        let places = start + header.timeCount * width
        let types = places + header.timeCount
        func offset(_ type: Int) -> Int64 {
            type < header.typeCount ? Int64(Int32(truncatingIfNeeded: Self.number(bytes, types + type * 6, 4))) : 0
        }
        self.first = offset(0)
        for index in 0..<header.timeCount {
            let raw = Self.number(bytes, start + index * width, width)
            let time = width == 4 ? Int64(Int32(truncatingIfNeeded: raw)) : raw
            guard time > self.transitions.last ?? .min else { continue }
            self.transitions.append(time)
            self.offsets.append(offset(Int(bytes[places + index])))
        }
    }

    /// Seconds east of UTC at a moment in seconds since 1970.
    package func offset(at seconds: Int64) -> Int64 {
        guard let last = self.transitions.last, seconds < last else {
            return self.rule?.offset(at: seconds) ?? self.offsets.last ?? self.first
        }
        var (low, high) = (0, self.transitions.count)
        while low < high {
            let middle = (low + high) / 2
            if self.transitions[middle] <= seconds { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? self.first : self.offsets[low - 1]
    }

    private struct Header {
        static let size = 44
        let version: UInt8
        let timeCount: Int
        let typeCount: Int
        private let rest: (utc: Int, standard: Int, leap: Int, characters: Int)

        init?(_ bytes: [UInt8], at start: Int) {
            guard bytes.count >= start + Self.size, bytes[start..<start + 4].elementsEqual("TZif".utf8) else {
                return nil
            }
            self.version = bytes[start + 4]
            let counts = (0..<6).map { Int(ZoneTable.number(bytes, start + 20 + $0 * 4, 4)) }
            guard counts.allSatisfy({ (0...100_000).contains($0) }) else { return nil }
            self.timeCount = counts[3]
            self.typeCount = counts[4]
            self.rest = (counts[0], counts[1], counts[2], counts[5])
        }

        func size(width: Int) -> Int {
            self.timeCount * (width + 1) + self.typeCount * 6 + self.rest.characters + self.rest.leap * (width + 4)
                + self.rest.standard + self.rest.utc
        }
    }

    /// Big-endian.
    private static func number(_ bytes: [UInt8], _ place: Int, _ count: Int) -> Int64 {
        var value: UInt64 = 0
        for byte in bytes[place..<place + count] { value = value << 8 | UInt64(byte) }
        return Int64(bitPattern: value)
    }
}

/// When summer time begins and ends, for all years: the footer of a zone's file (POSIX `TZ`), such as `CET-1CEST,M3.5.0,M10.5.0/3`.
struct ZoneRule: Sendable, Equatable {
    private struct Change: Sendable, Equatable {
        enum Day: Sendable, Equatable {
            /// The n-th such weekday of a month, 5 being the last; Sunday is 0.
            case weekday(month: Int, week: Int, weekday: Int)
            /// 1…365, where 29 February is never counted; or 0…365, where it is.
            case ordinal(Int, countsLeapDay: Bool)
        }

        var day: Day
        /// Seconds of local time.
        var time: Int64
    }

    private var standard: Int64
    private var summer: Int64
    private var changes: (begin: Change, end: Change)?

    static func == (left: ZoneRule, right: ZoneRule) -> Bool {
        left.standard == right.standard && left.summer == right.summer && left.changes?.begin == right.changes?.begin
            && left.changes?.end == right.changes?.end
    }

    init?(_ text: String) {
        var rest = Array(text.utf8)[...]
        guard Self.takeName(&rest), let west = Self.takeTime(&rest) else { return nil }
        self.standard = -west
        self.summer = self.standard + 3_600
        guard !rest.isEmpty else { return }
        guard Self.takeName(&rest) else { return nil }
        if rest.first != UInt8(ascii: ",") {
            guard let west = Self.takeTime(&rest) else { return nil }
            self.summer = -west
        }
        guard let begin = Self.takeChange(&rest), let end = Self.takeChange(&rest), rest.isEmpty else { return nil }
        self.changes = (begin, end)
    }

    func offset(at seconds: Int64) -> Int64 {
        guard let changes = self.changes else { return self.standard }
        let local = seconds + self.standard
        let year = Self.year(ofDay: Self.floor(local, 86_400))
        let begin = Self.moment(changes.begin, year) - self.standard
        let end = Self.moment(changes.end, year) - self.summer
        let isSummer = begin < end ? seconds >= begin && seconds < end : !(seconds >= end && seconds < begin)
        return isSummer ? self.summer : self.standard
    }

    // MARK: the text

    private static func takeName(_ rest: inout ArraySlice<UInt8>) -> Bool {
        if rest.first == UInt8(ascii: "<") {
            guard let end = rest.firstIndex(of: UInt8(ascii: ">")) else { return false }
            rest = rest[(end + 1)...]
            return true
        }
        let name = rest.prefix { ($0 | 0x20) >= UInt8(ascii: "a") && ($0 | 0x20) <= UInt8(ascii: "z") }
        rest = rest.dropFirst(name.count)
        return name.count >= 3
    }

    /// `[+-]hh[:mm[:ss]]`
    private static func takeTime(_ rest: inout ArraySlice<UInt8>) -> Int64? {
        var sign: Int64 = 1
        if let byte = rest.first, byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") {
            sign = byte == UInt8(ascii: "-") ? -1 : 1
            rest = rest.dropFirst()
        }
        guard let hours = self.takeNumber(&rest) else { return nil }
        var seconds = Int64(hours) * 3_600
        for unit in [Int64(60), 1] where rest.first == UInt8(ascii: ":") {
            rest = rest.dropFirst()
            guard let part = self.takeNumber(&rest) else { return nil }
            seconds += Int64(part) * unit
        }
        return sign * seconds
    }

    private static func takeNumber(_ rest: inout ArraySlice<UInt8>) -> Int? {
        let digits = rest.prefix { (0x30...0x39).contains($0) }
        guard (1...3).contains(digits.count) else { return nil }
        rest = rest.dropFirst(digits.count)
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    private static func takeChange(_ rest: inout ArraySlice<UInt8>) -> Change? {
        guard rest.first == UInt8(ascii: ",") else { return nil }
        rest = rest.dropFirst()
        let day: Change.Day
        if rest.first == UInt8(ascii: "M") {
            rest = rest.dropFirst()
            var numbers: [Int] = []
            for place in 0..<3 {
                if place > 0 {
                    guard rest.first == UInt8(ascii: ".") else { return nil }
                    rest = rest.dropFirst()
                }
                guard let number = self.takeNumber(&rest) else { return nil }
                numbers.append(number)
            }
            guard (1...12).contains(numbers[0]), (1...5).contains(numbers[1]), numbers[2] < 7 else { return nil }
            day = .weekday(month: numbers[0], week: numbers[1], weekday: numbers[2])
        } else {
            let isJulian = rest.first == UInt8(ascii: "J")
            if isJulian { rest = rest.dropFirst() }
            guard let number = self.takeNumber(&rest), number <= 365, number > 0 || !isJulian else { return nil }
            day = .ordinal(number, countsLeapDay: !isJulian)
        }
        var time: Int64 = 7_200
        if rest.first == UInt8(ascii: "/") {
            rest = rest.dropFirst()
            guard let given = self.takeTime(&rest) else { return nil }
            time = given
        }
        return Change(day: day, time: time)
    }

    // MARK: the calendar, in days since 1 January 1970

    private static func floor(_ value: Int64, _ unit: Int64) -> Int64 {
        (value >= 0 ? value : value - unit + 1) / unit
    }

    private static func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    private static func day(ofYear year: Int64) -> Int64 {
        let before = year - 1
        return 365 * (year - 1_970) + (floor(before, 4) - 492) - (floor(before, 100) - 19) + (floor(before, 400) - 4)
    }

    private static func year(ofDay day: Int64) -> Int64 {
        var year = 1_970 + floor(day * 400, 146_097)
        while self.day(ofYear: year) > day { year -= 1 }
        while self.day(ofYear: year + 1) <= day { year += 1 }
        return year
    }

    /// Seconds since 1970, of local time.
    private static func moment(_ change: Change, _ year: Int64) -> Int64 {
        let first = self.day(ofYear: year)
        let day: Int64
        switch change.day {
        case .ordinal(let number, let countsLeapDay):
            let isBehind = !countsLeapDay && self.isLeap(year) && number >= 60
            day = first + Int64(number) - (countsLeapDay ? 0 : 1) + (isBehind ? 1 : 0)
        case .weekday(let month, let week, let weekday):
            let lengths: [Int64] = [31, self.isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            let begin = first + lengths[..<(month - 1)].reduce(0, +)
            // 1 January 1970 was a Thursday.
            let number = ((begin + 4) % 7 + 7) % 7
            var place = begin + (Int64(weekday) - number + 7) % 7 + Int64(week - 1) * 7
            if place >= begin + lengths[month - 1] { place -= 7 }
            day = place
        }
        return day * 86_400 + change.time
    }
}
