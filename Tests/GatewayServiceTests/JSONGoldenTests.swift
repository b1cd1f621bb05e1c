import Documents
import Testing

@testable import GatewayService

@Suite("Golden: JSON of stored documents")
struct JSONGoldenTests {
    @Test(arguments: [
        (#"{"b":1,"a":{"d":2,"c":3}}"#, #"{"b":1,"a":{"d":2,"c":3}}"#),
        (#"{"_id":{"$oid":"0123456789ABCDEF01234567"},"__v":0}"#, #"{"_id":"0123456789abcdef01234567","__v":0}"#),
        (
            #"{"z":1,"10":"b","2":"a","01":"c","-1":"d","4294967294":"e","4294967295":"f"}"#,
            #"{"2":"a","10":"b","4294967294":"e","z":1,"01":"c","-1":"d","4294967295":"f"}"#
        ),
        (
            #"{"a":{"$double":1e16},"b":{"$double":0.000001},"c":{"$double":1e-7},"d":{"$double":-0.0},"e":1e21}"#,
            #"{"a":10000000000000000,"b":0.000001,"c":1e-7,"d":0,"e":1e+21}"#
        ),
        (#"{"a":{"$nan":true},"b":{"$infinity":true}}"#, #"{"a":null,"b":null}"#),
        (#"{"a":{"$undefined":true},"b":[{"$undefined":true},1]}"#, #"{"b":[null,1]}"#),
        (
            #"{"undefinedA":{"$undefined":true},"b":{"undefinedB":{"$undefined":true}},"c":null,"undefinedD":{"$undefined":true}}"#,
            #"{"b":{},"c":null}"#
        ),
        (
            #"{"a":{"$long":"9007199254740992"},"b":{"$long":"-9007199254740992"},"c":{"$long":"9007199254740993"},"d":{"$long":"-9007199254740993"}}"#,
            #"{"a":9007199254740992,"b":-9007199254740992,"c":{"low":1,"high":2097152,"unsigned":false},"d":{"low":-1,"high":-2097153,"unsigned":false}}"#
        ),
        (
            #"{"a":{"$date":0},"b":{"$date":1731499200123},"c":{"$date":-1},"d":{"$date":253402300800000},"e":{"$date":-62167219200001},"f":{"$date":8640000000000001}}"#,
            #"{"a":"1970-01-01T00:00:00.000Z","b":"2024-11-13T12:00:00.123Z","c":"1969-12-31T23:59:59.999Z","d":"+010000-01-01T00:00:00.000Z","e":"-000001-12-31T23:59:59.999Z","f":null}"#
        ),
        (
            #"{"a":{"$decimal":["3476215962376601600","15"]},"b":{"$binary":[255,254,253,0]},"c":{"$timestamp":"42"},"d":{"$regex":true},"e":{"$minKey":true},"f":{"$maxKey":true}}"#,
            #"{"a":{"$numberDecimal":"1.5"},"b":"//79AA==","c":{"$timestamp":"42"},"d":{},"e":{},"f":{}}"#
        ),
        (
            #"{"s":"\"\\\b\f\n\r\t\u0001\u001f\u007f/<>é😀"}"#,
            "{\"s\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\u{7F}/<>é😀\"}"
        ),
        ("{\"s\":\"\u{2028}\u{2029}\"}", "{\"s\":\"\u{2028}\u{2029}\"}"),
        (
            #"{"e":"","o":{},"l":[],"n":null,"t":true,"f":false}"#,
            #"{"e":"","o":{},"l":[],"n":null,"t":true,"f":false}"#
        ),
    ])
    func document(stored: String, json: String) async throws {
        var fixture = Fixture((.nominators, [stored]))
        // The wire server has no undefined in arrays.
        if stored.contains("[{\"$undefined") { fixture.stores.removeAll { $0 == .wireServer } }
        #expect(try await fixture.get("/nominators") == "[\(json)]")
    }

    @Test func aDocumentLessOneFieldKeepsToTheOrderOfKeys() async throws {
        var fixture = Fixture(
            (.candidates, [#"{"stash":"S","slotId":1}"#]),
            (.locations, [#"{"slotId":1,"z":1,"10":"b","addr":"1.2.3.4","2":{"addr":"kept","1":0}}"#]))
        fixture.options.redactsAddresses = true
        #expect(
            try await fixture.get("/location/validator/S")
                == #"{"2":{"1":0,"addr":"kept"},"10":"b","slotId":1,"z":1}"#)
    }

    @Test func aDocumentNestedTooDeeplyIsAnErrorNotACrash() async throws {
        // A server stores 180 levels.
        let whole = String(repeating: #"{"a":"#, count: 180) + "1" + String(repeating: "}", count: 180)
        var fixture = Fixture((.nominators, [whole]))
        fixture.stores = [.embedded]
        #expect(try await fixture.get("/nominators") == "[" + whole + "]")
        let deep = String(repeating: #"{"a":"#, count: 250) + "1" + String(repeating: "}", count: 250)
        fixture.documents = [(.nominators, [deep])]
        #expect(await fixture.fails("/nominators"))
    }

    /// A key to be moved to the front after each of many objects within objects: in the time that their length takes.
    @Test func keysAreMovedInObjectsWithinObjects() async throws {
        var stored = "1"
        var sent = "1"
        for _ in 0..<90 {
            stored = #"{"a":\#(stored),"7":"b","3":{"1":0,"0":1}}"#
            sent = #"{"3":{"0":1,"1":0},"7":"b","a":\#(sent)}"#
        }
        #expect(try await Fixture((.nominators, [stored])).get("/nominators") == "[" + sent + "]")
    }

    @Test func brokenTextBecomesTheReplacementCharacter() throws {
        var writer = BSONWriter()
        writer.document { $0.raw(.string, "s", [3, 0, 0, 0, 0xC3, 0x28, 0]) }
        var json = JSONWriter()
        try json.document(at: 0, in: writer.bytes.span)
        #expect(String(decoding: json.bytes, as: UTF8.self) == "{\"s\":\"\u{FFFD}(\"}")
    }
}
