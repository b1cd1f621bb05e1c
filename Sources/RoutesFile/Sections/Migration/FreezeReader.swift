import JSONText
import Migration

/// Reads when no share rises.
enum FreezeReader {
    private static let days: [(String, FreezeWindow.Weekday)] = [
        ("mon", .mon), ("tue", .tue), ("wed", .wed), ("thu", .thu), ("fri", .fri), ("sat", .sat), ("sun", .sun),
    ]

    static func read(_ node: Node) -> [FreezeWindow]? {
        node.elements("a list of windows", maximum: PlanSpec.windowLimit)?.compactMap { node in
            guard let section = node.section(.freezeWindow) else { return nil }
            return self.window(section)
        }
    }

    private static func window(_ section: Section) -> FreezeWindow? {
        let zone = section.required("zone")?.parsed("a time zone such as \"Europe/Berlin\" or \"UTC\"") { text in
            self.isZone(text) ? text : nil
        }
        var window = FreezeWindow(zone: zone ?? "UTC")
        section.read("days", into: &window.days) { node in
            node.elements("a list of days such as [\"fri\"]", minimum: 1, maximum: 7)
                .map { Set($0.compactMap { $0.word(self.days) }) }
        }
        section.read("dates", into: &window.dates) { node in
            node.parsed("dates such as \"2026-12-24/2027-01-02\"") { self.dates($0) }
        }
        section.read("from", into: &window.from) { node in
            node.parsed("a time of day from 00:00 to 23:59") { self.minutes($0).flatMap { $0 < 1_440 ? $0 : nil } }
        }
        section.read("to", into: &window.to) { node in
            node.parsed("a time of day from 00:00 to 24:00") { self.minutes($0) }
        }
        return zone == nil ? nil : window
    }

    /// A name of the zone database, which becomes the name of a file.
    private static func isZone(_ text: String) -> Bool {
        text.utf8.count <= 64
            && text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
                !part.isEmpty && part.utf8.first != UInt8(ascii: ".") && part.utf8.first != UInt8(ascii: "-")
                    && part.utf8.allSatisfy { byte in
                        Character(Unicode.Scalar(byte)).isASCIIWordOrHyphen || byte == UInt8(ascii: "+")
                    }
            }
    }

    private static func minutes(_ text: String) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let hour = self.number(parts[0], digits: 2),
            let minute = self.number(parts[1], digits: 2), minute < 60
        else { return nil }
        let sum = hour * 60 + minute
        return sum <= 1_440 ? sum : nil
    }

    private static func dates(_ text: String) -> ClosedRange<FreezeWindow.Day>? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let first = self.day(parts[0]),
            let last = self.day(parts[parts.count - 1]), first <= last
        else { return nil }
        return first...last
    }

    private static func day(_ text: Substring) -> FreezeWindow.Day? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, let year = self.number(parts[0], digits: 4),
            let month = self.number(parts[1], digits: 2), let day = self.number(parts[2], digits: 2),
            (1...12).contains(month), day >= 1
        else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard day <= lengths[month - 1] else { return nil }
        return FreezeWindow.Day(year: year, month: month, day: day)
    }

    private static func number(_ text: Substring, digits: Int) -> Int? {
        guard text.utf8.count == digits, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text)
    }
}
