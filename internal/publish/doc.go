// Package publish runs a publication. [Runner.Run] in publish.go runs its stages in
// order:
//
//	observe   reads what the publication depends on: identity, organization,
//	          Regions, source images, key, copies, permissions, grants
//	plan      compares that with the [Spec] and lists changes, problems, and the
//	          launches that the planned key policies reject; pure
//	key       completes the multi-Region key in every Region
//	copy      brings the image to every Region, encrypted with that Region's key,
//	          and creates the grants at the same time
//	verify    reads the images back and compares them with their originals
//	check     checks who will be able to launch them, before anyone can see them
//	share     shares the verified images, and reads back the result
//	mark      marks them as published, and sets deprecation and protection
//	parameter sets the parameters that name the images, and shares these
//	record    writes the files, the manifest last
//	prune     removes older permissions and grants, and retires older images, where
//	          the configuration asks for that
//
// # Promises
//
// AWS is written to only after the whole plan is made and has no problems. No
// account sees an image before the images of all Regions are verified and checked.
// The types [kmskey.Keys], [ami.Copies] and [ami.Verified] are each returned by one
// stage and taken by the next. A second run changes nothing. A run that failed, was
// canceled or died keeps its copies, and the next one finishes. Whatever fails, no
// image that another run may have created, found or published is deregistered,
// disabled or unshared, and no key is ever deleted.
package publish
