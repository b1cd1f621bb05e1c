import Testing
import Traffic

@Suite("Types of content")
struct MediaTypeTests {
    @Test(
        "Patterns are whole types, families, and families of one syntax",
        arguments: [
            ("text/html", true), ("text/*", true), ("application/*+json", true), ("image/svg+xml", true),
            ("*/*", false), ("text", false), ("text/", false), ("/html", false), ("text/h*", false),
            ("text/*json", false),
            ("Text/html", false), ("text/html; q", false), ("a/b/c", false), ("text/*+", false),
        ])
    func patterns(text: String, isOne: Bool) {
        #expect(MediaTypes.isPattern(text) == isOne)
    }

    @Test(
        "What is among them",
        arguments: [
            ("text/html", true), ("TEXT/CSS", true), ("application/json", true), ("application/problem+json", true),
            ("application/+json", false), ("application/jsonx", false), ("application/json-seq", false),
            ("image/png", false), ("text/", false), ("", false), ("xtext/html", false),
        ])
    func membership(type: String, isOne: Bool) {
        let types = MediaTypes(["text/*", "application/json", "application/*+json"])
        let bytes = Array(type.utf8)
        let found = types.contains(bytes.span)
        #expect(found == isOne)
    }
}
