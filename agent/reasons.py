"""Every reason code: what it means, who has to act, what Nova would do to the guest, and the way out.

One list for the report, the metrics, `agent explain` and the documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple, Optional


class Side(Enum):
    """Who has to act."""

    HERE = "here"
    PEER = "peer"
    NETWORK = "network"
    INVENTORY = "inventory"


class Impact(Enum):
    """What Nova would do to the guest (nova/virt/libvirt/driver.py, migrate_disk_and_power_off)."""

    ROLLBACK = "rollback"
    ERROR_RUNNING = "error_running"
    ERROR_STOPPED = "error_stopped"
    ERROR_DESTINATION = "error_destination"
    HANG = "hang"
    WRONG_DISK = "wrong_disk"
    DISK_LOSS = "disk_loss"


class Stage(Enum):
    """How far a dial came.  The order is that of the dial."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    BANNER = "banner"
    HOST_KEY = "host_key"
    AUTH = "auth"
    SHELL = "shell"
    DIRECTORY = "directory"
    COPY = "copy"
    CLEANUP = "cleanup"


class Reason(NamedTuple):
    """`stage`: a dial that passed it disproves a prediction with this reason; None where no dial can show it."""

    code: str
    cause: str
    side: Side
    impact: Optional[Impact]
    stage: Optional[Stage]
    remedy: str


# [side impact stage] heads the rows `code | cause | remedy` that share the three; "-" is none.
_TABLE = """
# What could not be looked at
[here - -]
needs_root | this can only be read by root | run the agent as root
not_observed | this could not be looked at | read the message: it says what stood in the way
check_crashed | a check of ours failed: a bug of the agent | report it with the output of `agent --format json`
prediction_disagrees | a real dial passed where we predicted a failure: a bug of the agent | trust the dial; report the message
not_probed | more peers than one run dials: this one was not its turn | name it with --peer, or wait for the next runs
dial_expired | the last dial is too old to say anything | is `agent daemon` running? it dials every peer in turn; --peer dials one now
dial_outdated | the peer's record or something here changed since the last dial | wait for the daemon to dial it again, or name it with --peer
layout_unclear | where nova-compute and sshd live on this host cannot be told | set profile in agent.yaml (docs/layouts.md)
interrupted | the run ended before this was looked at | run the agent again

# Nova's configuration
[here - -]
nova_conf_unreadable | nova.conf cannot be read, so nothing is known of what Nova would do | correct the file named; nova-compute would not start with it either
nova_option_invalid | an option of nova.conf has a value Nova cannot use | correct it in nova.conf and restart nova-compute
address_unknown | the address peers dial depends on the Nova release, which is unknown | set nova.release in /etc/resize-agent/agent.yaml
[here wrong_disk -]
my_ip_not_here | the address Nova tells peers to dial is on no interface of this host | set my_ip in nova.conf to this host's own address and restart nova-compute (the agent never edits nova.conf)
address_loopback | the address Nova tells peers to dial is a loopback one: each peer would dial itself | set my_ip in nova.conf to this host's own address and restart nova-compute
share_not_mounted | a file system belongs on the instances path and is not mounted | mount it; do not make the bare directory writable: Nova would put disks under the mount point

# The account
[here - -]
nova_user_differs | nova-compute runs as another user than the one looked at | set user in /etc/resize-agent/agent.yaml to the one that nova-compute runs as
[here rollback -]
no_nova_user | the account Nova runs as does not exist | install the distribution's nova-compute package, which creates it with the right uid
no_login_user | the account that peers log in as does not exist | install what makes it (openstack-nova-migration on RDO), or correct server.user in agent.yaml
[here rollback shell]
shell_refuses_commands | the login shell runs no commands | usermod --shell /bin/bash nova, or: agent --fix
password_expired | the password has expired, so PAM refuses every command | chage -M -1 -d -1 nova
[here rollback auth]
shell_missing | the login shell does not exist | usermod --shell /bin/bash nova, or: agent --fix
shell_not_executable | the login shell is no executable file | usermod --shell /bin/bash nova, or: agent --fix
account_expired | the account has expired | chage -E -1 nova
account_locked | the account is locked and sshd does not use PAM | give it an impossible password instead: usermod -p '*' nova
nologin_file | a nologin file keeps everybody but root out | end the maintenance that made it, then remove the file
user_not_allowed | sshd's Allow or Deny lists keep nova out | correct AllowUsers, AllowGroups, DenyUsers or DenyGroups in sshd_config
strict_modes | sshd refuses nova's key file because others may write to it or a directory above | take the write bit away or give the path back to nova; agent --fix does
home_missing | nova's home directory does not exist | install -d -o nova -g nova -m 755 the home directory
pubkey_disabled | sshd does not accept public keys for nova | PubkeyAuthentication yes in sshd_config, then reload sshd
no_key_accepted | sshd accepts nobody's key for nova | hand the peer records round and run: agent --fix
authorized_keys_unreadable | nova cannot read the file of accepted keys, and sshd reads it as nova | give the file to nova, mode 600
login_closed | the key was accepted and PAM then closed the connection | look at the sshd log and /etc/pam.d/sshd of that host
[here - -]
own_key_missing | this host does not accept its own key, so it cannot dial itself | agent --fix
surplus_key | a key is accepted that no record names | if nobody needs it, remove the line by hand; a certificate authority's line counts too
unrestricted_key | an accepted key carries no `restrict` | add restrict before the key if nobody forwards ports or agents with it
malformed_line | a line that OpenSSH skips | correct or remove it by hand
planted_link | a link in nova's home stands where a key file or directory belongs | remove it as nova, or keep what it leads to right by hand
withdrawn_key | a key of a withdrawn or reinstalled host is still trusted by a line that is not ours | remove the line by hand
authorized_keys_elsewhere | sshd takes nova's keys from a place the agent does not write to | let the tool that owns that place hand out the keys

# sshd
[here rollback connect]
sshd_missing | no ssh server is installed | apt install openssh-server
sshd_not_running | no ssh server listens here | systemctl start ssh (sshd on RPM systems)
sshd_port_differs | sshd listens on other ports than this host's record tells its peers | hand the new record round (agent facts)
[here rollback shell]
forced_command | a forced command decides what nova's login may run | let it pass Nova's lines (touch, rm, mkdir -p, rm -rf, the copy), or take it away
channel_refused | sshd opens no session for the login | MaxSessions above 0 in sshd_config
sftp_only | the login is confined to sftp, and Nova's mkdir is refused | take ForceCommand internal-sftp away for nova
[here - -]
sshd_not_reloaded | the running sshd is older than its configuration: it does what it read then | sshd -t, then systemctl reload ssh (sshd on RPM systems)
[here - copy]
sshd_unanswered | sshd does not say how it would treat nova: sshd -T fails | sshd -t tells why; a running sshd goes on with what it read, and will not start again
[here error_stopped copy]
sftp_missing | sshd has no sftp subsystem, which scp copies through | Subsystem sftp /usr/lib/openssh/sftp-server in sshd_config, then reload sshd
sftp_broken | the sftp subsystem's program is missing, not executable, or ended at once | correct the Subsystem line or install openssh-sftp-server
shell_noise | nova's shell start-up files print to standard output, which breaks the copy | silence them for shells that are not interactive
copy_failed | the directory was made and the copy failed | read the message; the same copy by hand, as nova, tells more
no_space | nova has not one block left where instances live | free room
no_inodes | nova has not one inode left where instances live | free inodes
[here error_stopped -]
file_size_limited | a limit on the size of files ends the copy of a disk to this host | take the limit named away, or set fsize to unlimited for the account that peers log in as (limits.conf(5))
[here error_destination -]
umask_too_strict | files that arrive can be read by nova alone, so the guest would not start | umask 022 in nova's shell start-up files
cache_not_writable | nova cannot write to the image cache or the locks in the instances directory, so the guest would not start where its base image is missing | give the directory and what is in it to nova
qemu_no_way | the qemu user cannot reach a disk in the instances directory | chmod o+x the directory named

# Identity and client
[here rollback auth]
no_identity | nova has no private key to log in with | agent --fix makes one, or put the site's key in ~nova/.ssh
identity_unreadable | nova cannot read its private key | chown nova and chmod 600 the key file
identity_mode | the private key can be read by others, so ssh refuses it | chmod 600 the key file, or: agent --fix
identity_passphrase | the private key has a passphrase and nobody is there to type it | replace it by one without; the agent never replaces a private key
identity_broken | the private key cannot be parsed | replace it from the site's store; the agent never replaces a private key
identity_mismatch | the .pub file beside the private key is another key's, and ssh offers that one | ssh-keygen -y -f KEY > KEY.pub as nova, or: agent --fix
too_many_authentication_failures | more keys were offered than the peer's MaxAuthTries allows | name the right one with IdentityFile and IdentitiesOnly yes
no_user_for_uid | nova-compute's uid has no passwd entry | add the account to the passwd file nova-compute sees
[here rollback host_key]
client_config_invalid | ssh refuses nova's client configuration | correct the file and line named
host_key_unknown | no known_hosts line for this peer, address and port | agent --fix, once the peer's record is in peers.d
host_key_changed | the peer shows another host key than the one known here | get the peer's new record into peers.d, then: agent --fix
host_key_revoked | the peer's host key is marked @revoked here | give the peer a new host key, or remove the line if it is wrong
known_hosts_unreadable | nova cannot read a known_hosts file | make the file readable for nova
host_key_algorithms | client and peer share no host key algorithm | give the peer a host key of a type the client accepts (ssh-keygen -A)
[here - -]
certificate_dates | nova's user certificate is not valid now, or soon will not be | have the site's certificate authority sign the key again
wildcard_host_key | a host key counts for every name of a pattern | replace the line by one with the host's own names, or by a @cert-authority
strict_host_key_checking_off | ssh accepts any host key: nobody is kept from posing as a peer | StrictHostKeyChecking yes, once known_hosts is complete
host_key_name_unknown | no known_hosts line for a name of this peer; Nova pulls a deleted image's file by name | agent --fix
known_hosts_outdated | the host keys the agent wrote are not those the records name now | agent --fix
control_master | the dial went through an ssh connection that was already open, which proves nothing | ControlPath none for nova
client_user_differs | ssh logs in to peers as another user than nova | correct User in nova's ssh configuration
name_missing | a peer's service name does not resolve here; Nova pulls a deleted image's file by name | add it to DNS or /etc/hosts
[here error_stopped copy]
scp_missing | scp is not in nova-compute's PATH, which Nova notices only after it has powered the guest off | apt install openssh-client (openssh-clients on RPM systems)
[here rollback connect]
rsync_without_ssh | rsync finds no ssh to connect with | apt install openssh-client (openssh-clients on RPM systems)
[here hang connect]
client_hangs | ssh on this host hangs before it says a word to the peer; Nova would wait with it | look at `Match exec` and ControlPath in nova's ssh configuration, at its key files, and at name service
[here hang auth]
identity_blocks | a pipe stands where ssh looks for a key or its public half: it opens it and waits for ever | remove it, or put the site's key there
[here error_running copy]
tool_missing | a program Nova starts is not in nova-compute's PATH | install it (openssh-client, rsync)
[here rollback copy]
rsync_missing_on_peer | rsync is not installed where the copy arrives | apt install rsync

# Instances directory
[here wrong_disk directory]
instances_elsewhere | what peers copy here lands in another directory than the one nova-compute has | give the containers of nova-compute and of sshd the same volume at the instances path
[here error_stopped directory]
instances_missing | the instances directory does not exist | agent --fix, or: install -d -o nova -g nova -m 755 the directory
instances_not_directory | the instances path is no directory | move it away
instances_not_writable | nova cannot write in the instances directory | agent --fix, or: chown nova:nova the directory (not what is in it)
read_only | the file system of the instances directory is read-only | find out why the kernel or the administrator made it so, then remount it
[here rollback directory]
directory_denied | nova may not make a directory in the instances directory | chown nova:nova that directory on that host
[here - -]
little_room | less room than the site's threshold where instances live | free room before a large guest arrives
stale_resize | an earlier resize left its directory behind | see whether its guest still needs it before you remove it
storage_differs | the instances directories of two hosts are of different kinds | make sure that shared storage is mounted on both
[here disk_loss -]
undeletable_resize | an earlier resize left a directory that nova cannot remove: the next failed resize of that guest loses its disk | give it back to nova or move it away, after a look at what it holds
shared_touch_fails | touch fails in a shared instances directory where mkdir works: Nova would delete the guest's disk | free quota or inodes on the share before the next resize

# Records and relations
[inventory - -]
no_peers | no peer records: nothing is known of any other host | put each peer's `agent facts` into /etc/resize-agent/peers.d/NAME.yaml
record_invalid | a peer record cannot be used | have the host named write it again: agent facts
record_conflict | two records claim one name or address: neither claim is used | remove the one that is wrong
record_newer | a record was written by a newer agent | upgrade the agent on this host
record_stale | a host's record no longer says what is true | hand that host's new one round: agent facts
[inventory error_destination -]
image_cache_differs | two hosts keep base images in different directories: the moved disk would not find its backing file | the same [image_cache]subdirectory_name on both
[inventory wrong_disk -]
duplicate_address | two hosts have the same address: Nova would copy the disk onto the source itself and start a blank one | give each host its own my_ip
instances_path_differs | two hosts keep instances in different places: Nova would start a blank disk | the same instances_path on both, and restart nova-compute
[inventory disk_loss -]
uid_differs | nova has different uids on hosts that share storage | the same uid on every host, and chown the files

# What a dial met
[network wrong_disk -]
another_host_answers | another host answers at the peer's address and shows its own host key: Nova would copy the disk there, and the peer would start a blank one | find out why the address leads there (getent hosts, ip route get, address translation), or correct the peer's address; then StrictHostKeyChecking yes
[peer rollback directory]
command_missing | nova's login there does not find mkdir, rm or touch | correct the PATH that nova's shell start-up files or /etc/environment set on that host
[peer rollback auth]
user_key_missing | this host does not accept that peer's key | agent --fix, once the peer's record with its key is in peers.d
user_key_refused | the line with that peer's key has options that refuse it | correct from=, expiry-time or the options of that line
permission_denied | the peer refused every key; a server never says why | run the agent on the peer: it judges itself
[peer rollback -]
peer_busy | the peer dropped the connection before it looked at it (MaxStartups, penalties) | tried again later; raise MaxStartups if it stays
[peer hang -]
too_slow | the peer answered and then took longer than our limit; Nova has none and would wait | look at the peer's load, shell start-up files and MTU
[peer rollback connect]
connection_refused | nothing listens at that address and port | start sshd on the peer, or correct its record's address and port
[network rollback connect]
name_unresolvable | the peer's address is a name that does not resolve | add it to DNS or /etc/hosts
no_route | there is no way to that address | look at routing and the firewall between the hosts
connect_timeout | the peer does not answer; Nova would wait minutes and then give up | look at the firewall between the hosts, and whether the peer is up
negotiation_failed | client and server share no key exchange, cipher or MAC | align the crypto policies of the two hosts
[peer rollback -]
unclassified | a failure the agent has no name for | read the message; the same command by hand, as nova, tells more
[peer - -]
leftover_probe | the probe's directory could not be removed | rm -rf the directory named on the peer, as nova
"""


def _reasons(table: str) -> Iterator[Reason]:
    side, impact, stage = Side.HERE, None, None
    for line in table.splitlines():
        if line.startswith("["):
            words = line.strip("[]").split()
            side = Side(words[0])
            impact = None if words[1] == "-" else Impact(words[1])
            stage = None if words[2] == "-" else Stage(words[2])
        elif line and not line.startswith("#"):
            code, cause, remedy = (cell.strip() for cell in line.split("|"))
            yield Reason(code, cause, side, impact, stage, remedy)


def impact_at(reason: Reason, stage: Optional[Stage]) -> Optional[Impact]:
    """What a failure met at this stage of a dial does to the guest: Nova powers it off between mkdir and the copy."""
    if stage is Stage.COPY and reason.impact is Impact.ROLLBACK:
        return Impact.ERROR_STOPPED
    if stage not in (None, Stage.COPY, Stage.CLEANUP) and reason.impact is Impact.ERROR_STOPPED:
        return Impact.ROLLBACK
    return reason.impact


REASONS: dict[str, Reason] = {reason.code: reason for reason in _reasons(_TABLE)}
