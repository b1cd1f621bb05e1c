/// The key of a WebSocket's opening over HTTP/1, by whose answer the endpoint proves that it has understood (RFC 6455 4.2.2).
/// Over HTTP/2 there is none (RFC 8441 5): whoever passes from one to the other makes it and checks the answer.
package struct WebSocketKey: Sendable, Equatable {
    private let high: UInt64
    private let low: UInt64

    /// Of 16 random bytes.
    package init(_ random: (UInt64, UInt64)) {
        self.high = random.0
        self.low = random.1
    }

    /// 24 characters.
    package var text: [UInt8] {
        Base64.encode(
            [self.high, self.low].flatMap { (word: UInt64) -> [UInt8] in
                stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt64($0)) }
            })
    }

    /// The `Sec-WebSocket-Accept` that answers a key.
    package static func answer(to text: UnsafeRawBufferPointer) -> [UInt8] {
        Base64.encode(SHA1.digest(Array(text) + Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)))
    }

    /// Whether this is the `Sec-WebSocket-Accept` that answers the key.
    package func isAnswered(by value: borrowing Span<UInt8>) -> Bool {
        let wanted = self.text.withUnsafeBytes { Self.answer(to: $0) }
        guard value.count == wanted.count else { return false }
        for index in wanted.indices where value[index] != wanted[index] { return false }
        return true
    }
}

/// RFC 4648 4.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        var index = 0
        while index < bytes.count {
            let count = min(3, bytes.count - index)
            var group: UInt32 = 0
            for offset in 0..<3 { group = group << 8 | (offset < count ? UInt32(bytes[index + offset]) : 0) }
            for position in 0..<4 {
                let digit = Int(group >> UInt32(18 - 6 * position) & 63)
                text.append(position <= count ? Self.alphabet[digit] : 0x3D)
            }
            index += 3
        }
        return text
    }
}

/// RFC 3174. Good for nothing that has to be secure; WebSocket asks for it.
enum SHA1 {
    static func digest(_ message: [UInt8]) -> [UInt8] {
        var padded = message + [0x80]
        while padded.count % 64 != 56 { padded.append(0) }
        let bits = UInt64(message.count) &* 8
        for shift in stride(from: 56, through: 0, by: -8) {
            padded.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift)))
        }
        var state: [UInt32] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0]
        for start in stride(from: 0, to: padded.count, by: 64) { self.add(padded[start..<start + 64], to: &state) }
        return state.flatMap { (word: UInt32) -> [UInt8] in
            stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt32($0)) }
        }
    }

    private static func add(_ block: ArraySlice<UInt8>, to state: inout [UInt32]) {
        var words = [UInt32](repeating: 0, count: 80)
        for index in 0..<64 { words[index / 4] = words[index / 4] << 8 | UInt32(block[block.startIndex + index]) }
        for index in 16..<80 {
            words[index] = self.turn(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], 1)
        }
        var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
        for index in 0..<80 {
            let mixed: UInt32
            let constant: UInt32
            switch index / 20 {
            case 0: (mixed, constant) = (b & c | ~b & d, 0x5A82_7999)
            case 1: (mixed, constant) = (b ^ c ^ d, 0x6ED9_EBA1)
            case 2: (mixed, constant) = (b & c | b & d | c & d, 0x8F1B_BCDC)
            default: (mixed, constant) = (b ^ c ^ d, 0xCA62_C1D6)
            }
            let next = self.turn(a, 5) &+ mixed &+ e &+ constant &+ words[index]
            (a, b, c, d, e) = (next, a, self.turn(b, 30), c, d)
        }
        state[0] &+= a
        state[1] &+= b
        state[2] &+= c
        state[3] &+= d
        state[4] &+= e
    }

    private static func turn(_ word: UInt32, _ count: UInt32) -> UInt32 { word << count | word >> (32 - count) }
}
