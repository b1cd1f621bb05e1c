import Foundation
import Glibc
import TestSupport
import Testing

/// Three members of etcd, of which some are away: they answer nothing, as behind a cut line.
@Suite(
    "Replicas over three members of etcd", .serialized,
    .enabled(if: EtcdProcess.isThere, "there is no etcd: scripts/install-etcd.sh fetches it"))
struct ClusterQuorumScenarios {
    @Test("One member away: changes go on. Two away: nothing changes, traffic goes on; back again: all agree")
    func quorum() throws {
        let etcd = try EtcdProcess(members: 3)
        let rig = try ClusterRig("{\"name\": \"test\", \"etcd\": {\"endpoints\": \(etcd.endpoints)}}")
        let balancers = try rig.startAll()
        // Three members write to one disk: an answer may come before all have told.
        #expect(
            try eventually {
                ClusterRig.replicas(try balancers[0].changeWeights("{\"core\": 5}", route: "api")) == [3, 3]
            })
        // The one that everybody asks first, and watches.
        try etcd.programs[0].pause()
        #expect(try eventually { try balancers[1].changeWeights("{\"core\": 6}", route: "api").status == 200 })
        for balancer in balancers { #expect(try eventually { try ClusterRig.weights(balancer)["core"] == 6 }) }
        #expect(
            try eventually { try balancers.allSatisfy { try ClusterRig.cluster($0)["reachable"] as? Bool == true } })
        // Without a quorum the member that is left answers reads that need none, and its watch is silent.
        try etcd.programs[1].pause()
        #expect(
            try eventually(seconds: 60) {
                try balancers.allSatisfy { try ClusterRig.cluster($0)["reachable"] as? Bool == false }
            })
        for balancer in balancers {
            #expect(try ClusterRig.weights(balancer)["core"] == 6)
            let refused = try balancer.changeWeights("{\"core\": 7}", route: "api")
            #expect(refused.status == 503 && refused.text.contains("cluster-unreachable"), "\(refused.text)")
        }
        #expect(try balancers[0].admin("/readyz").status == 200)
        etcd.programs[0].signal(SIGCONT)
        etcd.programs[1].signal(SIGCONT)
        #expect(
            try eventually(seconds: 60) {
                try balancers.allSatisfy { try ClusterRig.cluster($0)["reachable"] as? Bool == true }
            })
        #expect(
            try eventually(seconds: 60) {
                ClusterRig.replicas(try balancers[2].changeWeights("{\"core\": 8}", route: "api")) == [3, 3]
            })
        for balancer in balancers { #expect(try ClusterRig.weights(balancer)["core"] == 8) }
        #expect(try eventually { try ClusterRig.leaders(balancers).count == 1 })
    }

    @Test("A replica whose only member is away is alone, the others go on; back again it has what they agreed on")
    func minority() throws {
        let etcd = try EtcdProcess(members: 3)
        let rigs = try (0..<3).map { member in
            try ClusterRig(
                "{\"name\": \"test\", \"etcd\": {\"endpoints\": [\"http://127.0.0.1:\(etcd.ports[member])\"]}}",
                names: ["r\(member)"])
        }
        let balancers = try rigs.map { try $0.start(0) }
        #expect(try eventually { try balancers.allSatisfy { try ClusterRig.present($0).count == 3 } })
        // Three members write to one disk: an answer may come before all have told.
        #expect(
            try eventually {
                ClusterRig.replicas(try balancers[0].changeWeights("{\"core\": 5}", route: "api")) == [3, 3]
            })
        try etcd.programs[0].pause()
        #expect(try eventually(seconds: 60) { try ClusterRig.cluster(balancers[0])["reachable"] as? Bool == false })
        #expect(
            try eventually(seconds: 60) {
                ClusterRig.replicas(try balancers[1].changeWeights("{\"core\": 6}", route: "api")) == [2, 2]
            })
        #expect(try ClusterRig.weights(balancers[0])["core"] == 5)
        #expect(try balancers[0].changeWeights("{\"core\": 9}", route: "api").status == 503)
        #expect(try eventually(seconds: 60) { try ClusterRig.leaders([balancers[1], balancers[2]]).count == 1 })
        #expect(try ClusterRig.leaders([balancers[0]]).isEmpty)
        etcd.programs[0].signal(SIGCONT)
        #expect(try eventually(seconds: 60) { try ClusterRig.weights(balancers[0])["core"] == 6 })
        #expect(
            try eventually(seconds: 60) {
                ClusterRig.replicas(try balancers[0].changeWeights("{\"core\": 7}", route: "api")) == [3, 3]
            })
    }

    @Test("By password: a token that ended is asked for anew, and a wrong password is told by etcd's own words")
    func password() throws {
        let etcd = try EtcdProcess()
        func say(_ path: String, _ body: String) throws {
            let answer = try etcd.call("auth/\(path)", body)
            #expect(answer.contains("header"), "\(path): \(answer)")
        }
        let prefix = Data("/balancer/test/".utf8).base64EncodedString()
        let end = Data("/balancer/test0".utf8).base64EncodedString()
        try say("user/add", #"{"name": "root", "password": "r"}"#)
        try say("role/add", #"{"name": "root"}"#)
        try say("user/grant", #"{"user": "root", "role": "root"}"#)
        try say("role/add", #"{"name": "balancer"}"#)
        // What the file's reference says: nothing but the keys of its own name.
        try say(
            "role/grant",
            "{\"name\": \"balancer\", \"perm\": {\"permType\": \"READWRITE\", \"key\": \"\(prefix)\", \"range_end\": \"\(end)\"}}"
        )
        try say("user/add", #"{"name": "balancer", "password": "secret"}"#)
        try say("user/grant", #"{"user": "balancer", "role": "balancer"}"#)
        try say("enable", "{}")
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write("secret\n", to: folder + "/password")
        let rig = try ClusterRig(
            "{\"name\": \"test\", \"etcd\": {\"endpoints\": \(etcd.endpoints), \"user\": \"balancer\", "
                + "\"passwordFile\": \"\(folder)/password\"}}", names: ["a", "b"])
        let balancers = try rig.startAll()
        #expect(ClusterRig.replicas(try balancers[0].changeWeights("{\"core\": 5}", route: "api")) == [2, 2])
        // Every token that was given out ends.
        let root = try etcd.call("auth/authenticate", #"{"name": "root", "password": "r"}"#)
        let token =
            try #require(
                try JSONSerialization.jsonObject(with: Data(root.utf8)) as? [String: Any])["token"] as? String ?? ""
        _ = try etcd.call("auth/user/changepw", #"{"name": "balancer", "password": "other"}"#, token: token)
        #expect(
            try eventually(seconds: 60) {
                try balancers.allSatisfy {
                    (try ClusterRig.cluster($0)["reason"] as? String)?.contains("authentication failed") == true
                }
            })
        try BalancerProcess.write("other\n", to: folder + "/password")
        #expect(
            try eventually(seconds: 60) {
                ClusterRig.replicas(try balancers[1].changeWeights("{\"core\": 6}", route: "api")) == [2, 2]
            })
        #expect(try ClusterRig.weights(balancers[0])["core"] == 6)
    }
}
