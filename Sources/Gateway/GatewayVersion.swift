/// The release of this program.
enum GatewayVersion {
    static let current = "0.1.0"
}
