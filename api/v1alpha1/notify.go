package v1alpha1

// Notify names scripts, of those that Settings declare, to be run when a virtual
// router or sync group changes its state on a node, as keepalived's notify
// scripts. Of one router or group, one script runs after the other, in the order
// of what has happened.
type Notify struct {
	// Master is run when the node has become the owner.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Master string `json:"master,omitempty"`

	// Backup is run when the node is not, or no longer, the owner, at the start
	// too.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Backup string `json:"backup,omitempty"`

	// Fault is run when the node can no longer take part, or the router is
	// removed.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Fault string `json:"fault,omitempty"`

	// Stop is run when the agent stops.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Stop string `json:"stop,omitempty"`

	// MasterRxLowerPri is run when the owner hears another node that
	// advertises the same with no higher priority: that may have changed
	// something outside which has to be put right. At most every 5s. Not for
	// sync groups.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	MasterRxLowerPri string `json:"masterRxLowerPri,omitempty"`

	// Any is run after Master, Backup, Fault and Stop, and gets four more
	// arguments: INSTANCE or GROUP, NAME, the new state (MASTER, BACKUP, FAULT
	// or STOP), and the priority (0 for a group).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Any string `json:"any,omitempty"`
}

// SyncGroup says more of a sync group than its routers do.
type SyncGroup struct {
	// Name is what routers have in spec.syncGroup.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// Notify says which scripts are told what becomes of the group as a whole:
	// it is MASTER when all its routers are, FAULT when one of them is, and
	// else BACKUP.
	//
	// +optional
	Notify Notify `json:"notify,omitzero"`
}

// NotifyFIFO is a named pipe that gets a line for all that becomes of routers
// and sync groups, such as
//
//	INSTANCE "edge" MASTER 100
//
// It is made if it is not there, and belongs to root. Nobody but root may be
// able to change the folder.
type NotifyFIFO struct {
	// Path is absolute.
	//
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=4096
	Path string `json:"path"`

	// Group is the group that may read it, a name or number. Default: none, so
	// that only root may.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Group string `json:"group,omitempty"`
}
