package runlock

import "sync"

// Keepers are those of one run, one for each cluster: what a majority is, and who
// is dead, is a question of one cluster's masters.
type Keepers struct {
	config Config

	mu        sync.Mutex
	byCluster map[string]*Keeper
}

// NewKeepers returns keepers that hold nothing yet and show the same token.
func NewKeepers(c Config) *Keepers {
	if c.Token == "" {
		c.Token = NewToken()
	}
	return &Keepers{config: c, byCluster: map[string]*Keeper{}}
}

// Of is the keeper of the cluster of that name. Clusters that share a name share
// a keeper, which then wants a majority of the masters of both.
func (k *Keepers) Of(cluster string) *Keeper {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byCluster[cluster] == nil {
		k.byCluster[cluster] = New(k.config)
	}
	return k.byCluster[cluster]
}

// Close releases all run locks.
func (k *Keepers) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range k.byCluster {
		one.Close()
	}
}
