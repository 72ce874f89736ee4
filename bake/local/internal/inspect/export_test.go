package inspect

// What reads texts of an image is tested without one.

// DpkgPackages is [dpkgPackages].
var DpkgPackages = dpkgPackages

// ParseRPM is [parseRPM].
var ParseRPM = parseRPM

// AptLines is [aptLines].
var AptLines = aptLines

// AptStanzas is [aptStanzas].
var AptStanzas = aptStanzas

// DnfRepos is [dnfRepos].
var DnfRepos = dnfRepos
