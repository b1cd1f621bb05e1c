/// The OpenAPI description of the admin API, served by itself. A test holds it against the router's paths.
enum OpenAPIDocument {
    private static func words<Word: RawRepresentable<String>>(_ all: [Word]) -> String {
        all.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
    }

    static let text = """
        {
          "openapi": "3.1.0",
          "info": {
            "title": "balancer admin API",
            "version": "\(BalancerVersion.current)",
            "description": "Live control of a running balancer. Listens on loopback by default; elsewhere it needs a token. Wherever one is needed: 401 without, 403 for a viewer's change, 429 after ten wrong ones in a minute."
          },
          "security": [{}, {"token": []}],
          "paths": {
            "/": {"get": {"summary": "The dashboard", "responses": {
              "200": {"description": "A page, which needs no token itself", "content": {"text/html": {"schema": {"type": "string"}}}}}}},
            "/dashboard.css": {"get": {"summary": "Its style", "responses": {"200": {"description": "A style sheet",
              "content": {"text/css": {"schema": {"type": "string"}}}}}}},
            "/dashboard.js": {"get": {"summary": "Its script", "responses": {"200": {"description": "A script",
              "content": {"text/javascript": {"schema": {"type": "string"}}}}}}},
            "/favicon.svg": {"get": {"summary": "Its icon", "responses": {"200": {"description": "A picture",
              "content": {"image/svg+xml": {"schema": {"type": "string"}}}}}}},
            "/healthz": {"get": {"summary": "The process lives", "responses": {"200": {"description": "ok"}}}},
            "/readyz": {"get": {"summary": "Traffic can be sent here", "responses": {
              "200": {"description": "A table is in force and listeners are bound"},
              "503": {"description": "Starting or draining; the body says why"}}}},
            "/metrics": {"get": {"summary": "Prometheus text format 0.0.4", "responses": {
              "200": {"description": "Metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}}}},
            "/api/v1/status": {"get": {"summary": "Version, table, listeners, connections, last reload",
              "responses": {"200": {"$ref": "#/components/responses/Status"}}}},
            "/api/v1/events": {"get": {"summary": "How things are, once a second (server-sent events)",
              "description": "A message `welcome` first, then `state` at once and every second. At most 16 clients; whoever leaves more than 8 messages unread is cut. A stream ends when other tokens take effect.",
              "responses": {
                "200": {"description": "Data of `state` as below; of `welcome`, `Welcome`", "content": {"text/event-stream": {
                  "schema": {"type": "string", "contentMediaType": "application/json",
                    "contentSchema": {"$ref": "#/components/schemas/State"}}}}},
                "503": {"$ref": "#/components/responses/Refused"}}}},
            "/api/v1/certificates": {"get": {"summary": "Certificates in force, and what is wrong with newer files",
              "responses": {"200": {"$ref": "#/components/responses/Certificates"}}}},
            "/api/v1/cluster": {"get": {"summary": "The replicas, as this one knows them; 404 where there are none",
              "responses": {
                "200": {"$ref": "#/components/responses/Cluster"},
                "404": {"$ref": "#/components/responses/Refused"}}}},
            "/api/v1/routes": {"get": {"summary": "All routes with weights and shares in force",
              "responses": {"200": {"$ref": "#/components/responses/Routes"}}}},
            "/api/v1/routes/{name}": {"get": {"summary": "One route",
              "parameters": [{"$ref": "#/components/parameters/RouteName"}],
              "responses": {
                "200": {"$ref": "#/components/responses/Route"},
                "404": {"$ref": "#/components/responses/Refused"}}}},
            "/api/v1/routes/{name}/weights": {"put": {
              "summary": "Change weights of a route's upstreams; those not named keep theirs",
              "parameters": [
                {"$ref": "#/components/parameters/RouteName"},
                {"name": "dryRun", "in": "query", "schema": {"type": "boolean", "default": false},
                 "description": "Answer what would change, change nothing"},
                {"name": "If-Match", "in": "header", "schema": {"type": "string"},
                 "description": "ETag of GET /api/v1/routes; 412 when another state is in force"}],
              "requestBody": {"required": true, "content": {"application/json": {"schema": {
                "type": "object", "required": ["weights"], "additionalProperties": false,
                "properties": {
                  "weights": {"type": "object", "minProperties": 1,
                    "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 1000000}},
                  "reason": {"type": "string"},
                  "force": {"type": "boolean", "default": false,
                    "description": "Also if it leaves no upstream a weight; with a reason, also if the guard objects"},
                  "save": {"type": "boolean", "default": false,
                    "description": "Write them into the file, too; 409 if that cannot be"},
                  "local": {"type": "boolean", "default": false,
                    "description": "On this replica alone, while it cannot ask the others: back only, and with a reason"}}}}}},
              "responses": {
                "200": {"$ref": "#/components/responses/WeightChange"},
                "400": {"$ref": "#/components/responses/Refused"},
                "403": {"$ref": "#/components/responses/Refused"},
                "404": {"$ref": "#/components/responses/Refused"},
                "409": {"$ref": "#/components/responses/Refused"},
                "412": {"$ref": "#/components/responses/Refused"},
                "413": {"$ref": "#/components/responses/Refused"},
                "415": {"$ref": "#/components/responses/Refused"},
                "422": {"$ref": "#/components/responses/Refused"},
                "503": {"$ref": "#/components/responses/Refused"}}}},
            "/api/v1/upstreams": {"get": {"summary": "Upstreams, their endpoints, why each is as it is",
              "parameters": [
                {"name": "upstream", "in": "query", "schema": {"type": "string"}, "description": "Only this one"},
                {"name": "from", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 1000000, "default": 0},
                 "description": "Of each upstream only the endpoints from this one on, counted from 0"},
                {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000000},
                 "description": "Of each upstream only so many"}],
              "responses": {"200": {"$ref": "#/components/responses/Upstreams"},
                "422": {"$ref": "#/components/responses/Refused"}}}},
            "/api/v1/endpoints/{address}": {"put": {"summary": "Set an endpoint's administrative state",
              "parameters": [{"name": "address", "in": "path", "required": true, "schema": {"type": "string"},
                "description": "As in the file: an address or a host name, with a port",
                "example": "127.0.0.1:3301"},
                {"name": "If-Match", "in": "header", "schema": {"type": "string"},
                 "description": "ETag of GET /api/v1/routes; 412 when another state is in force"}],
              "requestBody": {"required": true, "content": {"application/json": {"schema": {
                "type": "object", "required": ["administrative"], "additionalProperties": false,
                "properties": {
                  "administrative": {"enum": ["ready", "drain", "maintenance"]},
                  "upstream": {"type": "string", "description": "Only where it is an endpoint of this upstream"},
                  "reason": {"type": "string"},
                  "force": {"type": "boolean", "default": false,
                    "description": "Also if it cannot be written into the journal; with a reason"}}}}}},
              "responses": {
                "200": {"description": "Done", "content": {"application/json": {"schema": {
                  "type": "object", "properties": {
                    "address": {"type": "string"}, "administrative": {"type": "string"},
                    "upstreams": {"type": "array", "items": {"type": "string"}},
                    "warnings": {"type": "array", "items": {"type": "string"}},
                    "replicas": {"$ref": "#/components/schemas/Replicas"}}}}}},
                "400": {"$ref": "#/components/responses/Refused"},
                "403": {"$ref": "#/components/responses/Refused"},
                "404": {"$ref": "#/components/responses/Refused"},
                "409": {"$ref": "#/components/responses/Refused"},
                "412": {"$ref": "#/components/responses/Refused"},
                "413": {"$ref": "#/components/responses/Refused"},
                "415": {"$ref": "#/components/responses/Refused"},
                "422": {"$ref": "#/components/responses/Refused"},
                "503": {"$ref": "#/components/responses/Refused"}}}},
            "/api/v1/explain": {"get": {"summary": "Where a request would go, and why",
              "parameters": [
                {"name": "host", "in": "query", "schema": {"type": "string"}},
                {"name": "path", "in": "query", "schema": {"type": "string", "default": "/"}},
                {"name": "method", "in": "query", "schema": {"type": "string", "default": "GET"}},
                {"name": "header", "in": "query", "schema": {"type": "array", "items": {"type": "string"}},
                 "description": "Name: value; may be repeated"},
                {"name": "client", "in": "query", "schema": {"type": "string"},
                 "description": "Client address, for routes that stick by it"},
                {"name": "listener", "in": "query", "schema": {"type": "string"},
                 "description": "Where the client connects, for routes that ask for it"},
                {"name": "serverName", "in": "query", "schema": {"type": "string"},
                 "description": "The name that the client asks for by TLS (SNI): which certificate it is shown"}],
              "responses": {
                "200": {"$ref": "#/components/responses/Explanation"},
                "422": {"$ref": "#/components/responses/Refused"}}}},
            "/api/v1/journal": {"get": {"summary": "Changes, a page of them, oldest first; without parameters the newest",
              "parameters": [
                {"name": "before", "in": "query", "schema": {"type": "integer", "minimum": 0},
                 "description": "Only entries with a smaller sequence"},
                {"name": "limit", "in": "query",
                 "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 256}},
                {"name": "subject", "in": "query", "schema": {"type": "string"},
                 "description": "Only entries about this route or endpoint"}],
              "responses": {
                "200": {"$ref": "#/components/responses/Journal"},
                "422": {"$ref": "#/components/responses/Refused"}}}},
            "/api/v1/undo": {"post": {
              "summary": "Take a change back, or go back to where everything stood at a generation",
              "parameters": [
                {"name": "dryRun", "in": "query", "schema": {"type": "boolean", "default": false},
                 "description": "Answer what would change, change nothing"},
                {"name": "If-Match", "in": "header", "schema": {"type": "string"},
                 "description": "ETag of GET /api/v1/routes; 412 when another state is in force"}],
              "requestBody": {"required": true, "content": {"application/json": {"schema": {
                "type": "object", "required": ["reason"], "additionalProperties": false,
                "oneOf": [{"required": ["sequence"]}, {"required": ["toGeneration"]}],
                "properties": {
                  "sequence": {"type": "integer", "minimum": 0, "description": "Of the change; or toGeneration"},
                  "toGeneration": {"type": "integer", "minimum": 0},
                  "reason": {"type": "string", "minLength": 1},
                  "force": {"type": "boolean", "default": false},
                  "partial": {"type": "boolean", "default": false,
                    "description": "Leave out what does not exist any more"}}}}}},
              "responses": {
                "200": {"$ref": "#/components/responses/Undo"},
                "400": {"$ref": "#/components/responses/Refused"},
                "403": {"$ref": "#/components/responses/Refused"},
                "404": {"$ref": "#/components/responses/Refused"},
                "409": {"$ref": "#/components/responses/Refused"},
                "412": {"$ref": "#/components/responses/Refused"},
                "413": {"$ref": "#/components/responses/Refused"},
                "415": {"$ref": "#/components/responses/Refused"},
                "422": {"$ref": "#/components/responses/Refused"},
                "503": {"$ref": "#/components/responses/Refused"}}}},
            "/api/v1/limits": {
              "get": {"summary": "What a key has left of a limit",
                "parameters": [{"$ref": "#/components/parameters/LimitRoute"},
                  {"$ref": "#/components/parameters/LimitRule"}, {"$ref": "#/components/parameters/LimitKey"}],
                "responses": {
                  "200": {"$ref": "#/components/responses/Limit"},
                  "404": {"$ref": "#/components/responses/Refused"},
                  "422": {"$ref": "#/components/responses/Refused"}}},
              "delete": {"summary": "Give a key of a limit all its requests back",
                "parameters": [{"$ref": "#/components/parameters/LimitRoute"},
                  {"$ref": "#/components/parameters/LimitRule"}, {"$ref": "#/components/parameters/LimitKey"}],
                "responses": {
                  "200": {"$ref": "#/components/responses/Limit"},
                  "403": {"$ref": "#/components/responses/Refused"},
                  "404": {"$ref": "#/components/responses/Refused"},
                  "422": {"$ref": "#/components/responses/Refused"}}}},
        \(Self.differences)
            \(Self.migrationPaths)
            "/api/v1/openapi.json": {"get": {"summary": "This document",
              "responses": {"200": {"description": "OpenAPI 3.1"}}}}
          },
          "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "parameters": {
        \(Self.differenceParameters)
              "LimitRoute": {"name": "route", "in": "query", "required": true, "schema": {"type": "string"}},
              "LimitRule": {"name": "rule", "in": "query", "required": true, "schema": {"type": "string"},
                "description": "Name of the limit"},
              "LimitKey": {"name": "key", "in": "query", "schema": {"type": "string"},
                "description": "An address, or the value of the header or cookie; none for a limit on all requests"},
              "RouteName": {"name": "name", "in": "path", "required": true, "schema": {"type": "string"}}
            },
        \(Self.differenceBodies)
            "schemas": {
        \(Self.differenceSchemas)
              "Problem": {"type": "object", "required": ["path", "message"], "properties": {
                "path": {"type": "string", "example": "$.weights.gatway"}, "message": {"type": "string"},
                "line": {"type": "integer"}}},
              "Share": {"type": "object", "properties": {
                "upstream": {"type": "string"}, "weight": {"type": "integer"},
                "share": {"type": "number", "description": "weight / sum of weights"},
                "effectiveShare": {"type": "number", "description": "share now, fail-over included"},
                "available": {"type": "boolean"}, "endpoints": {"type": "integer"},
                "availableEndpoints": {"type": "integer"}}},
              "Load": {"type": "object", "properties": {
                "requestsPerSecond": {"type": "number"}, "perEndpoint": {"type": "number"},
                "outstanding": {"type": "number"}}},
              "Weights": {"type": "object", "additionalProperties": {"type": "integer"}},
              "Route": {"type": "object", "properties": {
                "name": {"type": "string"},
                "match": {"type": "object", "properties": {
                  "host": {"type": "array", "items": {"type": "string"}},
                  "path": {"type": "array", "items": {"type": "string"}},
                  "exactPath": {"type": "array", "items": {"type": "string"}},
                  "listener": {"type": "array", "items": {"type": "string"}},
                  "method": {"type": "array", "items": {"type": "string"}},
                  "headers": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}}},
                "weights": {"$ref": "#/components/schemas/Weights"},
                "fileWeights": {"$ref": "#/components/schemas/Weights"},
                "shares": {"type": "array", "items": {"$ref": "#/components/schemas/Share"}},
                "sticky": {"type": "object", "properties": {
                  "by": {"enum": ["client-address", "header", "cookie"]}, "name": {"type": "string"}}},
                "failover": {"type": "boolean"}, "reserve": {"type": "array", "items": {"type": "string"}}, "overrideHeader": {"type": "string"},
                "redirect": {"type": "object", "properties": {
                  "status": {"type": "integer"}, "scheme": {"type": "string"}, "host": {"type": "string"},
                  "path": {"type": "string"}}},
                "respond": {"type": "object", "properties": {"status": {"type": "integer"}}}}},
              "Endpoint": {"type": "object", "properties": {
                "address": {"type": "string"},
                "availability": {"enum": ["up", "starting", "down", "draining", "maintenance", "ejected", "refused"]},
                "administrative": {"enum": ["ready", "drain", "maintenance"]},
                "ejected": {"type": "boolean"}, "reason": {"type": "string"},
                "since": {"type": "string", "format": "date-time"}, "outstanding": {"type": "integer"},
                "connections": {"type": "integer"}, "requests": {"type": "integer"},
                "probes": {"type": "array", "items": {"type": "object", "properties": {
                  "at": {"type": "string", "format": "date-time"}, "cause": {"type": "string"},
                  "status": {"type": "integer"}, "microseconds": {"type": "integer"}}}}}},
              "Sentence": {"type": "object", "required": ["level", "text"], "properties": {
                "level": {"enum": ["calm", "attention", "trouble"]}, "text": {"type": "string"}}},
              "Flow": {"type": "object", "description": "Of the last ten seconds", "properties": {
                "requestsPerSecond": {"type": "number"},
                "errors": {"type": "number", "minimum": 0, "maximum": 1, "description": "Part of the attempts that failed"},
                "attempts": {"type": "integer"},
                "p50Milliseconds": {"type": "number"}, "p99Milliseconds": {"type": "number"}}},
              "State": {"type": "object", "properties": {
                "at": {"type": "string", "format": "date-time"}, "sequence": {"type": "integer"},
                "sentence": {"$ref": "#/components/schemas/Sentence"},
                "generation": {"type": "integer"}, "etag": {"type": "string"},
                "journal": {"type": "integer", "description": "Sequence of the journal's last entry"},
                "unready": {"type": "string"}, "draining": {"type": "boolean"},
                "connections": {"type": "integer"}, "exchanges": {"type": "integer"},
                "requestsPerSecond": {"type": "number"}, "windowSeconds": {"type": "number"},
                "sides": {"type": "array", "maxItems": \(EventBody.sideLimit), "items": {"type": "object", "properties": {
                  "upstream": {"type": "string"}, "flow": {"$ref": "#/components/schemas/Flow"},
                  "endpoints": {"type": "integer"}, "availableEndpoints": {"type": "integer"},
                  "outstanding": {"type": "integer"}, "isWeighted": {"type": "boolean"}}}},
                "routes": {"type": "array", "maxItems": \(EventBody.routeLimit), "items": {"type": "object", "properties": {
                  "name": {"type": "string"}, "failover": {"type": "boolean"},
                  "sides": {"type": "array", "items": {"type": "object", "properties": {
                    "upstream": {"type": "string"}, "weight": {"type": "integer"}, "share": {"type": "number"},
                    "effectiveShare": {"type": "number"}, "available": {"type": "boolean"},
                    "requestsPerSecond": {"type": "number"}}}}}}},
                "routesOmitted": {"type": "integer"},
                "troubles": {"type": "array", "maxItems": \(EventBody.troubleLimit), "items": {"type": "object", "properties": {
                  "upstream": {"type": "string"}, "address": {"type": "string"},
                  "availability": {"enum": ["starting", "down", "draining", "maintenance", "ejected", "refused"]},
                  "cause": {"type": "string"}, "seconds": {"type": "integer"}}}},
                "troublesOmitted": {"type": "integer"},
                "loadProblems": {"type": "integer"}, "loadProblem": {"type": "string"},
                "stale": {"type": "array", "items": {"type": "string"}}, "journalTrouble": {"type": "string"},
                "cluster": {"type": "object", "description": "Where replicas share what is live", "properties": {
                  "replica": {"type": "string"}, "leader": {"type": "string"}, "present": {"type": "integer"},
                  "settled": {"type": "integer"}, "cutOffSeconds": {"type": "integer"}, "reason": {"type": "string"},
                  "remarks": {"type": "array", "maxItems": \(EventBody.remarkLimit), "items": {"type": "string"}}}}}},
              "Welcome": {"type": "object", "properties": {
                "version": {"type": "string"}, "host": {"type": "string"},
                "startedAt": {"type": "string", "format": "date-time"},
                "tokens": {"type": "boolean", "description": "Whether tokens are asked for"},
                "name": {"type": "string", "description": "Of the token"}, "role": {"enum": ["operator", "viewer"]},
                "plots": {"type": "object", "description": "The last 15 minutes, oldest first; null where nothing came",
                  "properties": {"intervalSeconds": {"type": "number"},
                    "sides": {"type": "array", "maxItems": \(TrafficPlots.sideLimit), "items": {"type": "object", "properties": {
                      "upstream": {"type": "string"},
                      "requestsPerSecond": {"$ref": "#/components/schemas/Plot"},
                      "errors": {"$ref": "#/components/schemas/Plot"},
                      "p50Milliseconds": {"$ref": "#/components/schemas/Plot"},
                      "p99Milliseconds": {"$ref": "#/components/schemas/Plot"}}}}}}}},
              "Plot": {"type": "array", "maxItems": \(TrafficPlots.points), "items": {"type": ["number", "null"]}},
              "Position": {"type": "object", "properties": {
                "weights": {"$ref": "#/components/schemas/Weights"},
                "fileWeights": {"$ref": "#/components/schemas/Weights"},
                "upstream": {"type": "string"}, "address": {"type": "string"},
                "administrative": {"enum": ["ready", "drain", "maintenance"]}}},
              "Replicas": {"type": "object", "description": "Those that have it in force, of those that are there; absent: there are none",
                "properties": {"applied": {"type": "integer"}, "of": {"type": "integer"}}},
              "JournalEntry": {"type": "object", "properties": {
                "sequence": {"type": "integer"}, "at": {"type": "string", "format": "date-time"},
                "origin": {"enum": [\(Self.words(ChangeOrigin.Door.allCases))]},
                "who": {"type": "string"},
                "what": {"enum": [\(Self.words(JournalEntry.What.allCases))]},
                "replica": {"type": "string", "description": "Where it was made; absent: here"},
                "revision": {"type": "integer", "description": "Its number among the changes of all replicas"},
                "id": {"type": "string"}, "forced": {"type": "boolean"}, "undoes": {"type": "string"},
                "evidence": {"type": "string"},
                "state": {"enum": ["intended", "applied", "refused", "failed"]},
                "before": {"$ref": "#/components/schemas/Position"}, "after": {"$ref": "#/components/schemas/Position"},
                "subject": {"type": "string"}, "detail": {"type": "string"}, "reason": {"type": "string"},
                "generationBefore": {"type": "integer"}, "generationAfter": {"type": "integer"}}}
            },
            "responses": {
        \(Self.differenceResponses)
              "Refused": {"description": "Refused; nothing was changed", "content": {"application/json": {"schema": {
                "type": "object", "required": ["error", "problems"], "properties": {
                  "error": {"type": "string"},
                  "problems": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}}}}}}},
              "Routes": {"description": "Routes", "headers": {"ETag": {"schema": {"type": "string"}}},
                "content": {"application/json": {"schema": {"type": "object", "properties": {
                  "generation": {"type": "integer"},
                  "routes": {"type": "array", "items": {"$ref": "#/components/schemas/Route"}}}}}}},
              "Route": {"description": "Route", "headers": {"ETag": {"schema": {"type": "string"}}},
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Route"}}}},
              "WeightChange": {"description": "What changed, or would change",
                "headers": {"ETag": {"schema": {"type": "string"}}},
                "content": {"application/json": {"schema": {"type": "object", "properties": {
                  "route": {"type": "string"}, "generation": {"type": "integer"}, "etag": {"type": "string"},
                  "dryRun": {"type": "boolean"}, "changed": {"type": "boolean"},
                  "before": {"type": "array", "items": {"$ref": "#/components/schemas/Share"}},
                  "after": {"type": "array", "items": {"$ref": "#/components/schemas/Share"}},
                  "loads": {"type": "array", "items": {"type": "object", "properties": {
                    "upstream": {"type": "string"},
                    "before": {"$ref": "#/components/schemas/Load"}, "after": {"$ref": "#/components/schemas/Load"}}}},
                  "savedTo": {"type": "string", "description": "The file that has them now, or would have"},
                  "movedKeys": {"type": "number", "minimum": 0, "maximum": 1},
                  "objections": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}},
                  "replicas": {"$ref": "#/components/schemas/Replicas"}, "warnings": {"type": "array", "items": {"type": "string"}}}}}}},
              "Upstreams": {"description": "Upstreams", "content": {"application/json": {"schema": {
                "type": "object", "properties": {"upstreams": {"type": "array", "items": {
                  "type": "object", "properties": {
                    "name": {"type": "string"}, "balance": {"type": "string"}, "available": {"type": "boolean"},
                    "total": {"type": "integer", "description": "Endpoints that it has, whichever are told"},
                    "endpoints": {"type": "array", "items": {"$ref": "#/components/schemas/Endpoint"}},
                    "unresolved": {"type": "array", "items": {"type": "object", "properties": {
                      "endpoint": {"type": "string"}, "reason": {"type": "string"}}}},
                    "discovery": {"type": "object", "properties": {
                      "source": {"type": "string"}, "lastSuccess": {"type": "string", "format": "date-time"},
                      "stale": {"type": "boolean"}, "failures": {"type": "integer"},
                      "reason": {"type": "string"}}}}}}}}}}},
              "Explanation": {"description": "Route, reasons, shares", "content": {"application/json": {"schema": {
                "type": "object", "properties": {
                  "generation": {"type": "integer"}, "route": {"type": "string"},
                  "reasons": {"type": "array", "items": {"type": "string"}},
                  "shares": {"type": "array", "items": {"$ref": "#/components/schemas/Share"}},
                  "upstream": {"type": "string"}}}}}},
              "Limit": {"description": "Requests left", "content": {"application/json": {"schema": {
                "type": "object", "properties": {
                  "route": {"type": "string"}, "rule": {"type": "string"},
                  "burst": {"type": "integer"}, "left": {"type": "integer"},
                  "waitMilliseconds": {"type": "integer"}, "resetMilliseconds": {"type": "integer"},
                  "dryRun": {"type": "boolean"}}}}}},
              "Journal": {"description": "Changes", "content": {"application/json": {"schema": {
                "type": "object", "properties": {
                  "entries": {"type": "array", "items": {"$ref": "#/components/schemas/JournalEntry"}},
                  "before": {"type": "integer", "description": "What to ask for to get older ones, if there are any"}}}}}},
              "Undo": {"description": "What changed, or would change",
                "headers": {"ETag": {"schema": {"type": "string"}}},
                "content": {"application/json": {"schema": {"type": "object", "properties": {
                  "undoes": {"type": "string"}, "generation": {"type": "integer"}, "etag": {"type": "string"},
                  "dryRun": {"type": "boolean"}, "changed": {"type": "boolean"},
                  "routes": {"type": "array", "items": {"type": "object", "properties": {
                    "route": {"type": "string"},
                    "before": {"type": "array", "items": {"$ref": "#/components/schemas/Share"}},
                    "after": {"type": "array", "items": {"$ref": "#/components/schemas/Share"}}}}},
                  "endpoints": {"type": "array", "items": {"type": "object", "properties": {
                    "upstream": {"type": "string"}, "address": {"type": "string"}, "before": {"type": "string"},
                    "after": {"type": "string"}}}},
                  "leftOut": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}},
                  "objections": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}},
                  "replicas": {"$ref": "#/components/schemas/Replicas"}, "warnings": {"type": "array", "items": {"type": "string"}}}}}}},
              "Cluster": {"description": "Replicas", "content": {"application/json": {"schema": {
                "type": "object", "properties": {
                  "name": {"type": "string"}, "store": {"type": "string"}, "replica": {"type": "string"},
                  "reachable": {"type": "boolean"}, "lastContact": {"type": "string", "format": "date-time"},
                  "reason": {"type": "string"}, "leader": {"type": "string"}, "leads": {"type": "boolean"},
                  "term": {"type": "integer"}, "sequence": {"type": "integer"}, "applied": {"type": "integer"},
                  "change": {"type": "string"}, "conflicts": {"type": "integer"}, "splits": {"type": "integer"},
                  "endpoints": {"type": "integer"},
                  "replicas": {"type": "array", "items": {"type": "object", "properties": {
                    "name": {"type": "string"}, "present": {"type": "boolean"}, "version": {"type": "string"},
                    "format": {"type": "integer"}, "generation": {"type": "integer"}, "sequence": {"type": "integer"},
                    "lagSeconds": {"type": "number"}, "file": {"type": "string"},
                    "clockAheadSeconds": {"type": "number"}, "heard": {"type": "string", "format": "date-time"},
                    "trouble": {"type": "string"}}}},
                  "remarks": {"type": "array", "items": {"type": "string"}},
                  "holds": {"type": "array", "items": {"type": "string"}}}}}}},
              "Certificates": {"description": "Certificates", "content": {"application/json": {"schema": {
                "type": "object", "required": ["certificates", "problems"], "properties": {
                  "certificates": {"type": "array", "items": {"type": "object", "properties": {
                    "names": {"type": "array", "items": {"type": "string"}},
                    "keyType": {"type": "string", "example": "EC 256"}, "fingerprint": {"type": "string"},
                    "notBefore": {"type": "string", "format": "date-time"},
                    "notAfter": {"type": "string", "format": "date-time"},
                    "certificate": {"type": "string"}, "key": {"type": "string"},
                    "listeners": {"type": "array", "items": {"type": "string"}},
                    "stapledUntil": {"type": "string", "format": "date-time"}}}},
                  "problems": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}}}}}}},
              "Status": {"description": "Status", "content": {"application/json": {"schema": {
                "type": "object", "properties": {
                  "sentence": {"$ref": "#/components/schemas/Sentence"},
                  "version": {"type": "string"}, "pid": {"type": "integer"}, "uptimeSeconds": {"type": "integer"},
                  "generation": {"type": "integer"}, "tableAge": {"type": "integer"},
                  "workers": {"type": "integer"},
                  "listeners": {"type": "array", "items": {"type": "object", "properties": {
                    "name": {"type": "string"}, "address": {"type": "string"}}}},
                  "connections": {"type": "integer"}, "exchanges": {"type": "integer"},
                  "lastReload": {"type": "object", "properties": {
                    "at": {"type": "string", "format": "date-time"}, "ok": {"type": "boolean"},
                    "problems": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}},
                    "needsRestart": {"type": "array", "items": {"type": "string"}}}},
                  "stale": {"type": "array", "items": {"type": "string"}},
                  "state": {"type": "object", "properties": {
                    "path": {"type": "string"}, "ok": {"type": "boolean"}, "reason": {"type": "string"},
                    "unwritten": {"type": "integer"}}},
                  "draining": {"type": "boolean"}}}}}}
            }
          }
        }

        """
}
