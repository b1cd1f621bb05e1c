import NIOCore

/// What only the core process can answer, as a stand-in for it says it: the right shapes, and nothing that is true.
struct CoreStandIn: Sendable {
    let health: Reply
    private let jobs: Reply
    private let nominators: Reply

    /// - Parameter upSince: milliseconds since 1970.
    init(upSince: Int64) {
        health = Health.core(upSince: upSince)
        jobs = Reply.ok(Reply.json, Body(Self.jobs(updated: Double(upSince))), .operations)
        // Text although it is JSON, as the core sends it. A stand-in nominates nothing.
        nominators = Reply.ok(Reply.text, Body("[]"), .operations)
    }

    func reply(_ path: Substring) -> Reply? {
        if path.utf8.lowercasedEquals("/scorekeeper/jobs") { return jobs }
        if path.utf8.lowercasedEquals("/nominators/status") { return nominators }
        return nil
    }

    /// An object of jobs by their names.
    private static func jobs(updated: Double) -> [UInt8] {
        let frequencies: [(name: String, frequency: String)] = [
            ("ActiveValidatorJob", "0 */5 * * * *"), ("EraPointsJob", "0 */10 * * * *"),
            ("LocationStatsJob", "0 */20 * * * *"), ("MainScorekeeperJob", "0 */10 * * * *"),
            ("ValidityJob", "0 */15 * * * *"),
        ]
        var writer = JSONWriter()
        writer.beginObject()
        for job in frequencies {
            writer.key(text: job.name)
            writer.beginObject()
            writer.key("name")
            writer.string(job.name)
            writer.key("updated")
            writer.number(updated)
            writer.key("enabled")
            writer.bool(true)
            writer.key("runCount")
            writer.number(0)
            writer.key("status")
            writer.string("Not Running")
            writer.key("frequency")
            writer.string(job.frequency)
            writer.endObject()
        }
        writer.endObject()
        return writer.bytes
    }
}
