/// Identifiers of changes, unique over all processes without asking any: 26 characters that sort by time (ULID).
enum ChangeID {
    private static let digits = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    /// 48 bits of time, 80 bits of chance.
    static func make(at milliseconds: UInt64) -> String {
        let (random, more) = (UInt64.random(in: .min ... .max), UInt16.random(in: .min ... .max))
        var text: [UInt8] = []
        text.reserveCapacity(26)
        let time = milliseconds & 0xFFFF_FFFF_FFFF
        for shift in stride(from: 45, through: 0, by: -5) { text.append(Self.digits[Int(time >> UInt64(shift) & 31)]) }
        // 65 bits and 15: the first digit of the former has four.
        for shift in stride(from: UInt64(60), through: 0, by: -5) {
            text.append(Self.digits[Int(random >> shift & 31)])
        }
        for shift in [UInt16(10), 5, 0] { text.append(Self.digits[Int(more >> shift & 31)]) }
        return String(decoding: text, as: UTF8.self)
    }
}
