/// The public facts of one candidate: what the programme's candidates file says of it.
package struct SampleCandidate: Sendable, Equatable {
    package var slotId: Int
    package var name: String
    package var stash: String
    package var kusamaStash: String
    package var kyc: Bool
    package var skipSelfStake: Bool
    package var handles: [String]

    /// Invents candidates.
    static func invent(_ count: Int, _ network: SampleNetwork, _ random: inout SampleRandom) -> [SampleCandidate] {
        let adjectives = [
            "Amber", "Brisk", "Calm", "Dapper", "Eager", "Fabled", "Gentle", "Humble", "Ivory", "Jolly", "Keen",
            "Lunar",
        ]
        let nouns = [
            "Anchor", "Beacon", "Comet", "Delta", "Ember", "Forge", "Glacier", "Harbor", "Island", "Juniper", "Kestrel",
            "Lantern",
        ]
        let marks = ["🚀", "🌊", "Ω", "星", "É", "\"q\"", "a/b", "\\", "🇨🇭", "<b>"]
        var candidates: [SampleCandidate] = []
        var slot = 0
        for index in 0..<count {
            // Slots have gaps: candidates leave.
            slot += random.chance(3) ? 2 : 1
            var name = "\(random.pick(adjectives)) \(random.pick(nouns)) \(index)"
            if random.chance(10) { name = random.pick(marks) + " " + name }
            let handle = "@operator\(random.number(0...400)):example.org"
            candidates.append(
                SampleCandidate(
                    slotId: slot - 1, name: name, stash: random.address(network),
                    kusamaStash: network == .polkadot ? random.address(.kusama) : "",
                    kyc: random.chance(31), skipSelfStake: random.chance(network == .polkadot ? 16 : 1),
                    handles: random.chance(2) ? [handle, "@second\(index):example.org"] : [handle]))
        }
        return candidates
    }
}
