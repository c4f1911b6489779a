package kinds

// Table returns all rows. Events of both groups are one kind in storage: the
// adapter decides how the two rows share it.
func Table() []Kind {
	return []Kind{
		// core
		pod(), podTemplate(), replicationController(),
		namespace(), node(),
		service(),
		configMap(), secret(),
		// apps
		deployment(), replicaSet(),
	}
}
