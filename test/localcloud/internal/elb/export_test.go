package elb

// Probes returns how many targets are checked.
func (s *Service) Probes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.probes)
}
