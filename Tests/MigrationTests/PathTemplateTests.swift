import Migration
import Testing

@Suite("Path templates")
struct PathTemplateTests {
    @Test(
        "Segments that name one of many things become *",
        arguments: [
            ("/", "/"), ("/candidates", "/candidates"), ("/candidates/", "/candidates/"), ("/a//b", "/a//b"),
            ("/era/1234", "/era/*"),
            ("/era/12a", "/era/12a"), ("/x/0123456789abcdef", "/x/*"), ("/x/0123456789abcde", "/x/0123456789abcde"),
            ("/x/DEADBEEFDEADBEEF00", "/x/*"), ("/x/123e4567-e89b-12d3-a456-426614174000/y", "/x/*/y"),
            ("/x/123e4567-e89b-12d3-a456-42661417400g", "/x/123e4567-e89b-12d3-a456-42661417400g"),
            ("/candidate/5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", "/candidate/*"),
            ("/x/" + String(repeating: "y", count: 40), "/x/" + String(repeating: "y", count: 40)),
            ("/x/" + String(repeating: "y", count: 41), "/x/*"), ("/a?token=1&b=2&a&b=3", "/a?a&b&token"),
            ("/a?", "/a"),
            ("/" + String(repeating: "abcdefg/", count: 100), "…"), ("*", "/*"),
        ])
    func segments(target: String, expected: String) {
        #expect(PathTemplate().template(target) == expected)
    }

    @Test("The first pattern that fits is the template")
    func patterns() throws {
        let templates = PathTemplate(
            patterns: try ["/candidate/*", "/*/rank", "/candidate/rank"].map { try #require(PathTemplate.Pattern($0)) })
        #expect(templates.template("/candidate/rank?x=1") == "/candidate/*?x")
        #expect(templates.template("/other/rank") == "/*/rank")
        #expect(templates.template("/candidate/a/b") == "/candidate/a/b")
        for text in ["", "a", "/a*", "/a?b", "/a b", "/é", "/" + String(repeating: "a", count: 512)] {
            #expect(PathTemplate.Pattern(text) == nil, "\(text)")
        }
    }

    @Test("512 templates are kept apart, the rest is one")
    func limit() {
        var set = TemplateSet()
        let names = (0..<512).map { "/a\($0)x" }
        let admitted = (names + ["/b", "/a7x"]).map { set.admit($0) }
        #expect(admitted == names + ["…", "/a7x"])
        #expect(set.known.count == 512)
    }
}
