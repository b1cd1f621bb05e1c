import Foundation
import HTTPWire
import Testing

@Suite("Dates")
struct HTTPDateTests {
    private func write(_ body: (inout ByteWriter) -> Void) -> String {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 1)
        defer { buffer.deallocate() }
        var writer = ByteWriter(buffer)
        body(&writer)
        return String(decoding: buffer[..<writer.count], as: UTF8.self)
    }

    @Test(
        "IMF-fixdate",
        arguments: [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] as [(UInt64, String)])
    func fixed(seconds: UInt64, expected: String) {
        let text = self.write { HTTPDate.write(seconds: seconds, into: &$0) }
        #expect(text == expected)
        #expect(text.utf8.count == HTTPDate.length)
    }

    @Test("The field of a second, ready to copy")
    func field() {
        let field = DateField(seconds: 784_111_777)
        #expect(self.write { field.write(into: &$0) } == "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n")
        let last = DateField(seconds: .max)
        #expect(self.write { last.write(into: &$0) } == "Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n")
    }

    /// Every 13th day of 400 years against the calendar of Foundation.
    @Test("Days of a whole Gregorian cycle, and ISO 8601")
    func cycle() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
        let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        for day in stride(from: 0, through: 146_097, by: 13) {
            let seconds = UInt64(day) * 86_400 + UInt64(day % 86_400)
            let parts = calendar.dateComponents(
                [.year, .month, .day, .weekday, .hour, .minute, .second],
                from: Date(timeIntervalSince1970: TimeInterval(seconds)))
            let year = try #require(parts.year)
            let month = try #require(parts.month)
            let dayOfMonth = two(try #require(parts.day))
            let weekday = try #require(parts.weekday)
            let hour = two(try #require(parts.hour))
            let minute = two(try #require(parts.minute))
            let clock = "\(hour):\(minute):\(two(try #require(parts.second)))"
            #expect(
                self.write { HTTPDate.write(seconds: seconds, into: &$0) }
                    == "\(weekdays[weekday - 1]), \(dayOfMonth) \(months[month - 1]) \(year) \(clock) GMT")
            #expect(
                self.write { HTTPDate.writeISO(milliseconds: seconds * 1_000 + 7, into: &$0) }
                    == "\(year)-\(two(month))-\(dayOfMonth)T\(clock).007Z")
        }
    }
}
