// Package promote is the third stage: it moves images that passed their tests from channel to channel.
//
// A channel is a movable name for one version of an image. Whoever deploys or builds on `web@production` gets the version
// that the channel holds at that moment; moving the channel is the only way to change that. Nothing enters a channel without
// a verdict that it passed, and each move is on record with its proof, so that it can be taken back. What more a channel demands is
// its [Rule]; [Gates] holds an image against it.
//
// A channel may have fleets that follow it. Then a promotion moves them first, wave by wave: each is a [Rollout], carried out by an
// adapter below this package that implements [Fleet]. The channel moves when all have arrived. One process at a time drives the
// promotion of an image in a channel: the one that [Actives] names.
package promote
