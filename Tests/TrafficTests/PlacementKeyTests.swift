import Testing
import Traffic

@Suite("Keys of an exchange's sides")
struct PlacementKeyTests {
    @Test("A key that was given for one side's balance does not serve another side; the client's own does")
    func otherSide() throws {
        let upstreams = (0..<2).map { number in
            Tables.upstream("u\(number)", endpoints: 1) { spec in
                spec.balance = .consistentHash(.header("x-key-\(number)"))
            }
        }
        let split = (0..<2).map { SplitEntry(upstream: "u\($0)", weight: 1) }
        let table = Tables.table(upstreams, routes: [RouteSpec(name: "r", action: .split(split))])
        let route = table.routes[0]
        var random = SplitMix64(seed: 1)
        var placement = Placement()
        guard case .needsKey(let first) = placement.choose(route, random: &random, now: 1) else {
            Issue.record("no key is asked for")
            return
        }
        placement.provide(key: 7)
        #expect(
            placement.choose(route, random: &random, now: 1) == .endpoint(member: first, index: 0, trial: false))
        table.upstreams[first].endpoints[0].release()
        placement.failed()
        #expect(placement.choose(route, random: &random, now: 1) == .needsKey(member: 1 - first))
        placement.provide(key: 9)
        #expect(
            placement.choose(route, random: &random, now: 1) == .endpoint(member: 1 - first, index: 0, trial: false))

        var sticky = Placement(forced: nil, stickyKey: 7)
        guard case .endpoint(let side, _, _) = sticky.choose(route, random: &random, now: 1) else {
            Issue.record("a sticky client needs no other key")
            return
        }
        sticky.failed()
        #expect(sticky.choose(route, random: &random, now: 1) == .endpoint(member: 1 - side, index: 0, trial: false))
    }
}
