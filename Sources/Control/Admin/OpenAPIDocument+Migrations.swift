import Migration

/// Plans.
extension OpenAPIDocument {
    private static let name = """
        {"name": "name", "in": "path", "required": true, "schema": {"type": "string"}, "description": "Of the migration"}
        """

    private static let refusals = """
        "400": {"$ref": "#/components/responses/Refused"}, "403": {"$ref": "#/components/responses/Refused"},
        "404": {"$ref": "#/components/responses/Refused"}, "409": {"$ref": "#/components/responses/Refused"},
        "412": {"$ref": "#/components/responses/Refused"}, "413": {"$ref": "#/components/responses/Refused"},
        "415": {"$ref": "#/components/responses/Refused"}, "422": {"$ref": "#/components/responses/Refused"},
        "503": {"$ref": "#/components/responses/Refused"}
        """

    private static func reads(_ summary: String, _ answer: String) -> String {
        """
        {"get": {"summary": "\(summary)", "parameters": [\(Self.name)], "responses": {
          "200": {"description": "\(answer)", "content": {"application/json": {"schema": {"type": "object"}}}},
          "404": {"$ref": "#/components/responses/Refused"}}}}
        """
    }

    private static func summary(_ verb: PlanVerb) -> String {
        switch verb {
        case .start: "Begin it, at its first stage or at another; after a retreat once its cooldown is over"
        case .pause: "Hold it where it is; it still goes back by itself"
        case .resume: "Go on, at the stage's weights"
        case .approve: "Let the next stage begin that awaits approval"
        case .advance: "To the next stage now, if the gates pass, or by force"
        case .retreat: "Go back now; needs a reason, and nothing refuses it"
        case .stop: "End it; weights stay, or are the file's again"
        }
    }

    private static func properties(_ verb: PlanVerb) -> String {
        let types = [
            "stage": #""stage": {"type": "integer", "minimum": 1}"#,
            "force":
                #""force": {"type": "boolean", "default": false, "description": "In spite of objections; needs a reason"}"#,
            "local":
                #""local": {"type": "boolean", "default": false, "description": "On this replica alone, while the others cannot be asked"}"#,
            "restore":
                #""restore": {"type": "boolean", "default": false, "description": "The file's weights come back"}"#,
        ]
        let reason = #""reason": {"type": "string"\#(verb == .retreat ? #", "minLength": 1"# : "")}"#
        return (verb.keys.compactMap { types[$0] } + [reason]).joined(separator: ", ")
    }

    private static func verb(_ verb: PlanVerb) -> String {
        """
        "/api/v1/migrations/{name}/\(verb.rawValue)": {"post": {"summary": "\(Self.summary(verb))",
          "parameters": [\(Self.name),
            {"name": "dryRun", "in": "query", "schema": {"type": "boolean", "default": false},
             "description": "Answer what would happen, change nothing"},
            {"name": "If-Match", "in": "header", "schema": {"type": "string"},
             "description": "ETag; 412 when another state is in force"}],
          "requestBody": {"required": true, "content": {"application/json": {"schema": {
            "type": "object", "additionalProperties": false, \(verb == .retreat ? "\"required\": [\"reason\"], " : "")"properties": {
              \(Self.properties(verb))}}}}},
          "responses": {
            "200": {"description": "Its steps, and how it stands then", "content": {"application/json": {"schema": {
              "type": "object", "properties": {
                "dryRun": {"type": "boolean"}, "changed": {"type": "boolean"},
                "steps": {"type": "array", "items": {"type": "string"}},
                "warnings": {"type": "array", "items": {"type": "string"}},
                "migration": {"type": "object"}, "forecast": {"type": "object"},
                "replicas": {"$ref": "#/components/schemas/Replicas"}}}}}},
            \(Self.refusals)}}}
        """
    }

    /// Members of `paths`, each followed by a comma.
    static var migrationPaths: String {
        let list = """
            "/api/v1/migrations": {"get": {"summary": "All migrations, where they stand and what they wait for",
              "responses": {"200": {"description": "Migrations", "content": {"application/json": {"schema": {
                "type": "object", "properties": {"migrations": {"type": "array", "items": {"type": "object"}}}}}}}}}}
            """
        let one = Self.reads(
            "One migration: state, stage, what comes next, gates with numbers and estimates", "Migration")
        let verdict = Self.reads("Whether its old side can be turned off, and what needs it", "Verdict")
        return
            ([list, "\"/api/v1/migrations/{name}\": \(one)", "\"/api/v1/migrations/{name}/verdict\": \(verdict)"]
            + PlanVerb.allCases.map { Self.verb($0) }).map { $0 + "," }.joined(separator: "\n")
    }
}
