/// SplitMix64: a small generator whose sequence is the same on every machine and in every release.
struct SampleRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    /// A number in the range, by remainder: the bias is of no interest here, the sequence is.
    mutating func number(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(next() % UInt64(range.upperBound - range.lowerBound + 1))
    }

    mutating func fraction() -> Double {
        Double(next() >> 11) * 0x1p-53
    }

    mutating func chance(_ percent: Int) -> Bool {
        number(0...99) < percent
    }

    mutating func pick<Item>(_ items: [Item]) -> Item {
        items[number(0...items.count - 1)]
    }

    /// A fraction with at most this many decimal places.
    mutating func decimal(_ range: ClosedRange<Double>, places: Int) -> Double {
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let value = range.lowerBound + fraction() * (range.upperBound - range.lowerBound)
        return (value * scale).rounded() / scale
    }

    mutating func hexadecimal(_ digits: Int) -> String {
        let alphabet = Array("0123456789abcdef".utf8)
        var bytes = Array("0x".utf8)
        for _ in 0..<digits { bytes.append(alphabet[number(0...15)]) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Text shaped like an SS58 address of the network. Its checksum is not computed.
    mutating func address(_ network: SampleNetwork) -> String {
        let alphabet = Array("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".utf8)
        let first = network == .kusama ? pick(Array("CDEFGHJ".utf8)) : UInt8(ascii: "1")
        let length = network == .kusama || chance(20) ? 47 : 48
        var bytes = [first]
        while bytes.count < length { bytes.append(alphabet[number(0...alphabet.count - 1)]) }
        return String(decoding: bytes, as: UTF8.self)
    }
}
