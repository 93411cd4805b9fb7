// Package awssim simulates the part of AWS that publishing an encrypted AMI depends on:
// EC2 images, snapshots and launches, KMS multi-Region keys and grants, STS,
// Organizations and a little IAM, for a world of accounts and Regions. It implements
// AWS's wire protocols, so clients work unmodified.
//
// # Shape
//
// A [World] holds all state under one mutex. [World.ServeHTTP] decodes a request
// ([call]), applies faults, quotas and latency, authorizes it, runs the operation's
// handler under the mutex, journals it and encodes the response. [World.Client] is an
// http.Client that calls the handler without a socket. Tests can therefore run in
// virtual time, with testing/synctest.
//
// # Fidelity
//
// Behavior follows the project's page of AWS facts. A comment such as "Fact: GRANT-10"
// at a rule names the row of docs/aws-facts.md that it rests on. Where AWS's behavior
// isn't certain, the simulator is stricter than AWS. It is never relaxed to let the
// plugin pass.
package awssim
