import HTTPWire
import Testing

@Suite("Reason phrases")
struct StatusTextTests {
    @Test(
        "Every status that is sent has its registered phrase; others have one that is no lie",
        arguments: [
            (200, "OK"), (103, "Early Hints"), (299, "Unknown"), (404, "Not Found"), (413, "Content Too Large"),
            (431, "Request Header Fields Too Large"),
            (503, "Service Unavailable"), (505, "HTTP Version Not Supported"), (599, "Error"),
        ])
    func phrases(status: UInt16, phrase: String) {
        #expect("\(StatusText.phrase(status))" == phrase)
    }
}
