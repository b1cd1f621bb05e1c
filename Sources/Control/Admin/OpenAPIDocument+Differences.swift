extension OpenAPIDocument {
    /// Paths of what the sides of plans differ in, with a comma behind them.
    static let differences = """
            "/api/v1/migrations/{name}/differences": {"get": {
              "summary": "What the sides of a plan differ in, by class",
              "parameters": [{"$ref": "#/components/parameters/MigrationName"}],
              "responses": {
                "200": {"description": "Classes", "content": {"application/json": {"schema": {
                  "type": "object", "properties": {
                    "migration": {"type": "string"}, "compared": {"type": "integer"},
                    "results": {"type": "object", "additionalProperties": {"type": "integer"}},
                    "rechecks": {"type": "integer"}, "epoch": {"type": "integer"},
                    "copied": {"type": "integer", "description": "Copies that were answered"},
                    "dropped": {"type": "object", "additionalProperties": {"type": "integer"},
                      "description": "Copies that were lost, or never meant to be, by reason"},
                    "stageCompared": {"type": "integer"}, "stageStanding": {"type": "integer"},
                    "classes": {"type": "array", "items": {"$ref": "#/components/schemas/DifferenceClass"}}}}}}},
                "404": {"$ref": "#/components/responses/Refused"}}}},
            "/api/v1/migrations/{name}/differences/{class}": {"get": {
              "summary": "One class with its examples, redacted; for operators",
              "parameters": [
                {"$ref": "#/components/parameters/MigrationName"},
                {"$ref": "#/components/parameters/DifferenceClassNumber"}],
              "responses": {
                "200": {"$ref": "#/components/responses/DifferenceClass"},
                "403": {"$ref": "#/components/responses/Refused"},
                "404": {"$ref": "#/components/responses/Refused"}}}},
            "/api/v1/migrations/{name}/differences/{class}/accept": {"post": {
              "summary": "Let a class stay: it counts against nobody any more",
              "parameters": [
                {"$ref": "#/components/parameters/MigrationName"},
                {"$ref": "#/components/parameters/DifferenceClassNumber"}],
              "requestBody": {"$ref": "#/components/requestBodies/Reason"},
              "responses": {
                "200": {"$ref": "#/components/responses/DifferenceClass"},
                "400": {"$ref": "#/components/responses/Refused"},
                "403": {"$ref": "#/components/responses/Refused"},
                "404": {"$ref": "#/components/responses/Refused"},
                "413": {"$ref": "#/components/responses/Refused"},
                "409": {"$ref": "#/components/responses/Refused"},
                "415": {"$ref": "#/components/responses/Refused"},
                "422": {"$ref": "#/components/responses/Refused"},
                "503": {"$ref": "#/components/responses/Refused"}}}},
            "/api/v1/migrations/{name}/differences/{class}/reopen": {"post": {
              "summary": "Take an acceptance back",
              "parameters": [
                {"$ref": "#/components/parameters/MigrationName"},
                {"$ref": "#/components/parameters/DifferenceClassNumber"}],
              "requestBody": {"$ref": "#/components/requestBodies/Reason"},
              "responses": {
                "200": {"$ref": "#/components/responses/DifferenceClass"},
                "400": {"$ref": "#/components/responses/Refused"},
                "403": {"$ref": "#/components/responses/Refused"},
                "404": {"$ref": "#/components/responses/Refused"},
                "413": {"$ref": "#/components/responses/Refused"},
                "409": {"$ref": "#/components/responses/Refused"},
                "415": {"$ref": "#/components/responses/Refused"},
                "422": {"$ref": "#/components/responses/Refused"},
                "503": {"$ref": "#/components/responses/Refused"}}}},
        """

    static let differenceParameters = """
              "MigrationName": {"name": "name", "in": "path", "required": true, "schema": {"type": "string"}},
              "DifferenceClassNumber": {"name": "class", "in": "path", "required": true,
                "schema": {"type": "string", "pattern": "^d-[0-9a-f]{8}$"}},
        """

    static let differenceSchemas = """
              "DifferenceClass": {"type": "object", "properties": {
                "number": {"type": "string"}, "state": {"enum": ["real", "open", "noise", "accepted"]},
                "route": {"type": "string"}, "template": {"type": "string"}, "kind": {"type": "string"},
                "path": {"type": "string"}, "seen": {"type": "integer"}, "confirmed": {"type": "integer"},
                "cleared": {"type": "integer"}, "rechecks": {"type": "integer"}, "repeated": {"type": "integer"},
                "evidence": {"type": "number"}, "first": {"type": "string", "format": "date-time"},
                "last": {"type": "string", "format": "date-time"}, "accepted": {"type": "string"},
                "replicas": {"$ref": "#/components/schemas/Replicas"},
                "foundBy": {"type": "array", "items": {"type": "string"},
                  "description": "Only of a class that this replica has not found: those that have told of it"},
                "examples": {"type": "array", "items": {"type": "object", "properties": {
                  "method": {"type": "string"}, "target": {"type": "string"}, "place": {"type": "string"},
                  "old": {"type": "string"}, "new": {"type": "string"},
                  "oldStatus": {"type": "integer"}, "newStatus": {"type": "integer"}}}}}},
        """

    static let differenceBodies = """
            "requestBodies": {
              "Reason": {"required": true, "content": {"application/json": {"schema": {
                "type": "object", "required": ["reason"], "additionalProperties": false,
                "properties": {"reason": {"type": "string", "minLength": 1}}}}}}
            },
        """

    static let differenceResponses = """
              "DifferenceClass": {"description": "One class", "content": {"application/json": {"schema": {
                "$ref": "#/components/schemas/DifferenceClass"}}}},
        """
}
