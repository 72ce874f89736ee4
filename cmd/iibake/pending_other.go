//go:build !linux

package main

import "os"

// newPending returns an empty file in dir.
func newPending(dir string) (*pending, error) { return newNamed(dir) }

// childPath returns the path that a child process reaches the file by.
func childPath(p *pending, _ int) string { return p.Name() }

func (p *pending) link(name string) error { return os.Link(p.Name(), name) }

// ownPath returns the path that this process reaches the file by.
func ownPath(p *pending) string { return p.Name() }
