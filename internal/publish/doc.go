// Package publish is the story of a publication: [Run] in publish.go runs its
// stages in order.
//
//	look    reads the world: identity, organisation, regions, source image, key,
//	        copies, permissions, grants
//	plan    compares it with the [Spec] and lists the changes; pure
//	keys    completes the multi-Region key in every region
//	copies  brings the image to every region under that region's key, and at
//	        the same time makes the grants, which need only the keys
//	verify  reads the images back
//	share   makes the verified images visible, once all regions are there
//	prune   takes away what is not asked for any more, where that is wanted
//	report  says what was done, in [Result]; also when something failed
//
// # Promises
//
// AWS is written to only after the whole plan is made. No account sees an image
// before every region's image is verified and every grant exists or was skipped: the types
// [kmskey.Keys], [ami.Images], [ami.Verified] and [grant.Result] are each made
// by one stage and demanded by the next. A second run changes nothing; a run
// that died is finished by the next one. A run that fails deregisters the
// copies that it made, and leaves keys and grants for the next. Nothing that is
// not ours is removed, and no key is ever deleted.
package publish
