@testable import Control
import Testing

/// Escapes in paths and queries, as RFC 3986 has them.
struct PercentCodingTests {
    @Test(
        "What is escaped, and comes back",
        arguments: [
            ("", "", ""), ("api-1._~Z", "", "api-1._~Z"), ("127.0.0.1:80", ":", "127.0.0.1:80"),
            ("127.0.0.1:80", "", "127.0.0.1%3A80"), ("a/b c?d#e&f=g+h%i", "/", "a/b%20c%3Fd%23e%26f%3Dg%2Bh%25i"),
            ("\u{e4}\u{20ac}\u{1f600}", "", "%C3%A4%E2%82%AC%F0%9F%98%80"), ("\0\r\n\u{7f}", "", "%00%0D%0A%7F"),
        ])
    func both(text: String, kept: String, escaped: String) {
        #expect(PercentCoding.encoded(text, keeping: kept) == escaped)
        #expect(PercentCoding.decoded(escaped) == text)
    }

    @Test(
        "Escapes that are none, or no text",
        arguments: ["%", "%4", "a%", "%zz", "%4g", "%%41", "% 1", "%+1", "%ff", "%c3", "%c3%28", "%ed%a0%80", "%C0%AF"])
    func refused(text: String) {
        #expect(PercentCoding.decoded(text) == nil)
    }

    @Test("Letters of either case") func letters() {
        #expect(PercentCoding.decoded("%c3%A4%2f%2F") == "\u{e4}//")
    }
}
