import Testing

@testable import Documents
@testable import GatewayService

/// The check that keeps nothing, against the parser that keeps everything.
@Suite("JSON check")
struct JSONCheckTests {
    private func isAccepted(_ text: [UInt8], cut: Int) -> Bool {
        var check = JSONCheck()
        var rest = text[...]
        while !rest.isEmpty {
            check.take(rest.prefix(cut))
            rest = rest.dropFirst(cut)
        }
        return check.isWhole
    }

    private func isExpected(_ text: [UInt8]) -> Bool {
        switch try? JSONParser.parse(text) {
        case .object, .array: true
        default: false
        }
    }

    private static let texts = [
        "", " ", "{}", " [ ] ", "[]]", "{\"a\":1}", "[1,2]", "[1,]", "{\"a\":1,}", "{,}", "[,]", "{\"a\"}", "{1:2}",
        "[01]", "[-]", "[-0.5e+10,1E5,0]", "[1.]", "[.5]", "[1e]", "[1e+]", "[+1]", "[tru]", "[true,false,null]",
        "[truex]", "[nul]", "\"a\"", "1", "null", "[\"\\u12aF\\n\\/\\\\\"]", "[\"\\u12g4\"]", "[\"\\x\"]",
        "[\"\u{1}\"]",
        "[\"ü😀\"]", "[\"open]", "[\"\\", "[1 2]", "{\"a\" : [ { } ] }\r\n\t", "{} {}", "[1}", "{]", "{\"a\":}",
        "[\"\\ud83dx\"]",
        "[\"\\ud83d\\ude00\"]", "[\"\\ud83d\\u\"]",
    ]

    @Test func agreesWithTheParser() {
        for text in Self.texts {
            let bytes = Array(text.utf8)
            for cut in 1...7 { #expect(isAccepted(bytes, cut: cut) == isExpected(bytes), "\(text)") }
        }
    }

    @Test(arguments: [254, 255, 256, 257, 300])
    func agreesOnDepth(depth: Int) {
        for inner in ["", "1", "{}"] {
            let text = String(repeating: "[", count: depth) + inner + String(repeating: "]", count: depth)
            let bytes = Array(text.utf8)
            #expect(isAccepted(bytes, cut: 5) == isExpected(bytes), "\(depth) \(inner)")
        }
    }

    /// Texts that are almost JSON.
    @Test func agreesOnWhateverComes() {
        var random = SampleRandom(seed: 20_261_128)
        let bytes = Array("{}[]\",:\\ue0123-+.E truefalsn\n\u{1}ä".utf8)
        var accepted = 0
        for _ in 0..<40_000 {
            var text = Array((Self.texts.randomElement(using: &random) ?? "").utf8)
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let byte = bytes.randomElement(using: &random) ?? 0
                let place = Int.random(in: 0...text.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: text.insert(byte, at: place)
                case 1 where place < text.count: text[place] = byte
                default: if place < text.count { text.remove(at: place) }
                }
            }
            let isRight = isExpected(text)
            if isRight { accepted += 1 }
            let cut = Int.random(in: 1...5, using: &random)
            #expect(isAccepted(text, cut: cut) == isRight, "\(String(decoding: text, as: UTF8.self))")
        }
        #expect(accepted > 1000)
    }
}
