import Testing

@testable import HTTPWire

@Suite struct WebSocketKeyTests {
    @Test func digestsAreThoseOfRFC3174() {
        func hex(_ text: String) -> String {
            SHA1.digest(Array(text.utf8)).map { byte in
                let digits = String(byte, radix: 16)
                return digits.utf8.count == 1 ? "0" + digits : digits
            }.joined()
        }
        #expect(hex("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(hex("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
        #expect(
            hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
                == "84983e441c3bd26ebaae4aa1f95129e5e54670f1")
        #expect(hex(String(repeating: "a", count: 64)) == "0098ba824b5c16427bd7a1122a5a442a25ec644d")
    }

    @Test func theKeyOfRFC6455IsAnswered() {
        // "the sample nonce"
        let key = WebSocketKey((0x7468_6520_7361_6D70, 0x6C65_206E_6F6E_6365))
        #expect(String(decoding: key.text, as: UTF8.self) == "dGhlIHNhbXBsZSBub25jZQ==")
        for (answer, isRight) in [
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", true), ("s3pPLMBiTxaQ9kYGzzhZRbK+xOp=", false), ("", false),
            ("S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", false), ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo", false),
        ] {
            #expect(key.isAnswered(by: Array(answer.utf8).span) == isRight, "\(answer)")
        }
    }

    @Test func base64HasItsPadding() {
        for (text, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            #expect(String(decoding: Base64.encode(Array(text.utf8)), as: UTF8.self) == encoded)
        }
    }
}
