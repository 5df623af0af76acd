package lab

func (nd *Node) bindName() error { return nil }
func (nd *Node) unname() error   { return nil }
