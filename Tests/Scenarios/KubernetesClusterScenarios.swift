import Foundation
import Glibc
import TestSupport
import Testing

/// Real processes that agree over a stand-in for the Kubernetes API.
@Suite("Replicas over the Kubernetes API", .serialized)
struct KubernetesClusterScenarios {
    /// The stand-in, and what the file says of it.
    private final class API: Sendable {
        let program: Program
        let port: UInt16
        let folder = BalancerProcess.makeFolder()

        init() throws {
            self.program = try Program(
                path: "/usr/bin/python3", [Program.root + "/Tests/Scenarios/KubernetesAPI/api.py"])
            self.port = try self.program.await { line in
                line.hasPrefix("listening ") ? UInt16(line.dropFirst(10)) : nil
            }
            try BalancerProcess.write("secret\n", to: self.folder + "/token")
        }

        deinit { BalancerProcess.removeFolder(self.folder) }

        var section: String {
            "{\"name\": \"test\", \"kubernetes\": {\"namespace\": \"prod\", \"server\": \"http://127.0.0.1:\(self.port)\", "
                + "\"tokenFile\": \"\(self.folder)/token\"}}"
        }

        func control(_ words: String) throws {
            let connection = try RawConnection(port: self.port)
            connection.send("GET /control/\(words) HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n")
            var reader = MessageReader(connection)
            #expect(try reader.message().status == 200)
        }

        /// An object as it is.
        func object(_ path: String) throws -> [String: Any]? {
            let connection = try RawConnection(port: self.port)
            connection.send(
                "GET \(path) HTTP/1.1\r\nHost: k\r\nAuthorization: Bearer secret\r\nConnection: close\r\n\r\n")
            var reader = MessageReader(connection)
            let message = try reader.message()
            guard message.status == 200 else { return nil }
            return try JSONSerialization.jsonObject(with: Data(message.body)) as? [String: Any]
        }
    }

    @Test("A replica's Lease belongs to its pod and goes with it, where the pod says who it is")
    func owner() throws {
        let api = try API()
        let rig = try ClusterRig(api.section, names: ["a", "b"])
        let balancers = try [
            rig.start(0, environment: ["POD_NAME=balancer-0", "POD_UID=11-22"]),
            rig.start(1, environment: ["POD_NAME=balancer-1", "POD_UID="]),
        ]
        func owners(_ replica: String) throws -> [[String: String]] {
            let lease = try api.object("/apis/coordination.k8s.io/v1/namespaces/prod/leases/test-r-\(replica)")
            let metadata = try #require(lease?["metadata"] as? [String: Any])
            return metadata["ownerReferences"] as? [[String: String]] ?? []
        }
        #expect(try eventually { try ClusterRig.present(balancers[0]).count == 2 })
        #expect(
            try owners("a") == [["apiVersion": "v1", "kind": "Pod", "name": "balancer-0", "uid": "11-22"]])
        #expect(try owners("b").isEmpty)
    }

    @Test("A change by any replica is in force on all; watches that are cut, forgotten or slow lose nothing")
    func changes() throws {
        let api = try API()
        let rig = try ClusterRig(api.section)
        let balancers = try rig.startAll()
        for (index, balancer) in balancers.enumerated() {
            let answer = try balancer.changeWeights("{\"core\": \(index + 5)}", route: "api")
            #expect(answer.status == 200 && ClusterRig.replicas(answer) == [3, 3], "\(answer.text)")
            for other in balancers { #expect(try ClusterRig.weights(other)["core"] == index + 5) }
        }
        #expect(
            try ClusterRig.journal(balancers[0], "weights").compactMap { $0["replica"] as? String } == ["a", "b", "c"])
        #expect(try eventually { try ClusterRig.leaders(balancers).count == 1 })
        let journal = try #require(
            try api.object("/api/v1/namespaces/prod/configmaps/test-journal")?["data"] as? [String: String])
        #expect(journal["journal.json"]?.split(separator: "\n").count ?? 0 >= 4)
        var weight = 10
        for words in ["cut", "forget", "slow/100", "slow/0"] {
            try api.control(words)
            weight += 1
            #expect(try balancers[weight % 3].changeWeights("{\"core\": \(weight)}", route: "api").status == 200)
            for other in balancers {
                #expect(try eventually { try ClusterRig.weights(other)["core"] == weight }, "\(words)")
            }
        }
        // A watch that brings nothing is noticed, and what it did not bring is read.
        try api.control("silent/1")
        #expect(try balancers[0].changeWeights("{\"core\": 99}", route: "api").status == 200)
        for other in balancers { #expect(try eventually { try ClusterRig.weights(other)["core"] == 99 }) }
        try api.control("silent/0")
        // Writes that meet: none is lost.
        try ClusterScenarios.atOnce(6) { writer in
            for step in 0..<10 {
                let side = writer % 2 == 0 ? "core" : "gateway"
                let answer = try balancers[writer % 3].changeWeights(
                    "{\"\(side)\": \(1_000 + writer * 100 + step)}", route: "api")
                #expect(answer.status == 200, "\(answer.text)")
            }
        }
        let weights = try ClusterRig.weights(balancers[0])
        #expect(weights.values.allSatisfy { $0 >= 1_000 })
        for other in balancers { #expect(try eventually { try ClusterRig.weights(other) == weights }) }
    }

    @Test("API server down, leader killed, objects deleted: as over etcd")
    func faults() throws {
        let api = try API()
        let rig = try ClusterRig(api.section)
        let balancers = try rig.startAll()
        #expect(ClusterRig.replicas(try balancers[0].changeWeights("{\"core\": 5}", route: "api")) == [3, 3])
        #expect(try eventually { try ClusterRig.leaders(balancers).count == 1 })
        let first = try #require(try ClusterRig.leaders(balancers).first)
        balancers[first].program.signal(SIGKILL)
        let rest = balancers.indices.filter { $0 != first }.map { balancers[$0] }
        // Judged by the readers' own clocks: fifteen seconds, and one round.
        #expect(try eventually(seconds: 40) { try ClusterRig.leaders(rest).count == 1 })
        #expect(try eventually { try rest.allSatisfy { try ClusterRig.present($0).count == 2 } })
        try api.control("wipe")
        #expect(try eventually { try api.object("/api/v1/namespaces/prod/configmaps/test-live") != nil })
        #expect(
            try eventually { ClusterRig.replicas(try rest[0].changeWeights("{\"core\": 6}", route: "api")) == [2, 2] })
        #expect(try ClusterRig.weights(rest[1])["core"] == 6)
        try api.control("down/1")
        #expect(try eventually { try ClusterRig.cluster(rest[0])["reachable"] as? Bool == false })
        let refused = try rest[0].changeWeights("{\"core\": 7}", route: "api")
        #expect(refused.status == 503 && refused.text.contains("cluster-unreachable"), "\(refused.text)")
        #expect(try ClusterRig.weights(rest[0])["core"] == 6)
        try api.control("down/0")
        #expect(try eventually { try rest[0].changeWeights("{\"core\": 7}", route: "api").status == 200 })
        #expect(try eventually { try ClusterRig.weights(rest[1])["core"] == 7 })
        // A Role that allows too little is said by its own words.
        try BalancerProcess.write("wrong\n", to: api.folder + "/token")
        #expect(
            try eventually { (try ClusterRig.cluster(rest[0])["reason"] as? String)?.contains("Unauthorized") == true })
    }

    @Test(
        "A plan is one for all: any replica starts it and takes it back, each tells what it counted, in a Lease of its own"
    )
    func plan() throws {
        let api = try API()
        let rig = try ClusterRig(
            api.section, names: ["a", "b"],
            more: """
                "migrations": [{"name": "move", "routes": ["api"], "from": "core", "to": "gateway",
                  "stages": [{"share": 20, "hold": "1h"}, {"share": 100, "hold": "1h"}], "gates": {"mismatches": false}}]
                """)
        let balancers = try rig.startAll()
        #expect(try eventually { try ClusterRig.leaders(balancers).count == 1 })
        let started = try balancers[0].command("migration", "move", "start", "--force", "--reason", "a drill")
        #expect(started.status == 0 && started.output.contains("in force on 2 of 2 replicas"), "\(started)")
        for balancer in balancers {
            #expect(try ClusterRig.weights(balancer) == ["core": 800_000, "gateway": 200_000])
            #expect(
                try eventually {
                    let plan = try balancer.json("/api/v1/migrations/move")
                    let counted = (plan["cluster"] as? [String: Any])?["counted"] as? [[String: Any]] ?? []
                    return counted.compactMap { $0["name"] as? String } == ["a", "b"]
                })
        }
        let lease = try #require(
            try api.object("/apis/coordination.k8s.io/v1/namespaces/prod/leases/test-c-a")?["metadata"]
                as? [String: Any])
        #expect((lease["labels"] as? [String: String]) == ["balancer.w3f/counters": "test"])
        let told = (lease["annotations"] as? [String: String])?["balancer.w3f/counters"] ?? ""
        #expect(told.hasPrefix("{\"move.1.") && told.contains("\"replica\":\"a\""), "\(told)")
        let back = try balancers[1].command("migration", "move", "retreat", "--reason", "enough")
        #expect(back.status == 0 && back.output.contains("in force on 2 of 2 replicas"), "\(back)")
        for balancer in balancers {
            #expect(try balancer.json("/api/v1/migrations/move")["state"] as? String == "retreated")
            #expect(try ClusterRig.weights(balancer)["gateway"] == 0)
        }
    }
}
