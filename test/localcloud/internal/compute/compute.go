// Package compute is what runs the instances of the cloud: QEMU machines on this host, or a simulation of them.
package compute

import (
	"time"

	"github.com/iibake/iibake/bake"
)

// Driver runs instances. Its methods return at once and never fail: what became of an instance is told to the Observer. Calls
// for one instance are obeyed in their order, and one that no longer makes sense is ignored.
type Driver interface {
	// Start powers an instance on: a new one, or a stopped one with the disks it had.
	Start(Spec)
	// Stop shuts the guest down in its own time, or at once if force is set. Its disks stay.
	Stop(id string, force bool)
	// Terminate ends an instance, whatever it is doing, and gives up its disks.
	Terminate(id string)
	// Reboot restarts the guest.
	Reboot(id string)
	// Probe asks an instance, as a load balancer does, whether it is well, and tells the answer, with the reason of a no, to done. It gives
	// up after the check's timeout.
	Probe(id string, c Check, done func(ok bool, reason string))
	// Console returns what the serial console of an instance, also of one that ended lately, has shown: at most the last 64 KiB.
	Console(id string) []byte
}

// Observer is told what became of instances. It is called from any goroutine, never with a lock of the driver held.
type Observer interface {
	// Running says that an instance is powered on, with the addresses where it answers.
	Running(region, id string, a Addresses)
	// Status says what the status checks of an instance found.
	Status(region, id string, healthy bool)
	// Ended says that an instance is powered off: stopped where that had been asked for or the guest did it itself, otherwise
	// with the reason why it could not start or go on, such as Server.InsufficientInstanceCapacity or Client.InternalError.
	Ended(region, id string, e Ending)
}

// Check is a health check of a load balancer.
type Check struct {
	Protocol string // TCP, HTTP, HTTPS
	Port     int
	Path     string // of HTTP
	Codes    string // HTTP status codes that count as well: 200, 200-299, 200,301
	Timeout  time.Duration
}

// Ending is how an instance came to its end.
type Ending struct {
	Code, Message string // of EC2's StateReason; empty where it was told to stop or terminate
}

// Addresses are where an instance answers.
type Addresses struct{ Private, Public string }

// Spec is an instance to run.
type Spec struct {
	Region, Account, ID string
	Zone, ZoneID        string
	Type                string // instance type, such as t3.micro
	Arch                bake.Arch
	CPUs                int
	Memory              bake.Size
	Firmware            bake.Firmware
	Disks               []Disk // the root disk first
	Addresses           Addresses
	Ports               []Port // open to everybody; see Driver of machines
	Metadata            Metadata
	Tags                map[string]string // of the instance; a simulation reads its script from them
}

// Disk is a disk of an instance.
type Disk struct {
	Device string      // as EC2 names it: /dev/xvda
	Volume string      // volume id
	Disk   bake.Digest // manifest in the block store; empty for an empty disk
	Size   bake.Size
}

// Port is a range of TCP ports that security groups open.
type Port struct{ From, To int }

// Metadata is what the instance metadata service serves besides what else is in the Spec.
type Metadata struct {
	Enabled, TokensRequired, Tags bool
	HopLimit                      int
	ImageID, Hostname             string
	UserData                      []byte
	KeyName, PublicKey            string
	SecurityGroups                []string
	LaunchIndex                   int
	Reservation                   string
	MAC, VPC, Subnet              string

	// What is not known is not served.
	PublicHostname, Interface string // Interface is the id of the network interface
	SecurityGroupIDs          []string
	VPCBlock, SubnetBlock     string // CIDR blocks
}
