BEGIN TRANSACTION;
CREATE TABLE application_versions (
    version_id TEXT NOT NULL PRIMARY KEY,
    version_name TEXT NOT NULL UNIQUE,
    version_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL);
INSERT INTO "application_versions" VALUES('bd400b35-3c3d-4508-b7c7-db9bef4c72e7','1',1795892494000,1795892494000,'chatterbox-plus');
CREATE TABLE chatterbox_schema (
	version INTEGER NOT NULL
);
INSERT INTO "chatterbox_schema" VALUES(1);
CREATE TABLE dbos_migrations (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO "dbos_migrations" VALUES(125);
CREATE TABLE deliveries (
	id VARCHAR(40) NOT NULL, 
	task VARCHAR(40) NOT NULL, 
	url TEXT NOT NULL, 
	body TEXT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	attempts INTEGER NOT NULL, 
	first_at VARCHAR(32), 
	last_at VARCHAR(32), 
	next_at VARCHAR(32), 
	lease_until VARCHAR(32), 
	last_status INTEGER, 
	last_error TEXT, 
	created_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(task) REFERENCES tasks (id) ON DELETE CASCADE
);
CREATE TABLE notifications (
    message_uuid TEXT NOT NULL DEFAULT (hex(randomblob(16))) PRIMARY KEY,
    destination_uuid TEXT NOT NULL,
    topic TEXT,
    message TEXT NOT NULL,
    created_at_epoch_ms INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000), "serialization" TEXT DEFAULT NULL, "consumed" BOOLEAN NOT NULL DEFAULT FALSE, consumed_by_function_id INTEGER,
    FOREIGN KEY (destination_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE "operation_outputs" (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    function_name TEXT NOT NULL DEFAULT '',
    output TEXT,
    error TEXT,
    child_workflow_id TEXT,
    started_at_epoch_ms INTEGER,
    completed_at_epoch_ms INTEGER,
    serialization TEXT,
    application_name TEXT DEFAULT NULL,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    PRIMARY KEY (workflow_uuid, function_id)
);
CREATE TABLE queues (
    queue_id TEXT PRIMARY KEY DEFAULT (hex(randomblob(16))),
    name TEXT NOT NULL UNIQUE,
    concurrency INTEGER,
    worker_concurrency INTEGER,
    rate_limit_max INTEGER,
    rate_limit_period_sec REAL,
    priority_enabled BOOLEAN NOT NULL DEFAULT FALSE,
    partition_queue BOOLEAN NOT NULL DEFAULT FALSE,
    polling_interval_sec REAL NOT NULL DEFAULT 1.0,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL, "partition_concurrency" INTEGER DEFAULT NULL, "partition_worker_concurrency" INTEGER DEFAULT NULL, "partition_rate_limit_max" INTEGER DEFAULT NULL, "partition_rate_limit_period_sec" REAL DEFAULT NULL);
INSERT INTO "queues" VALUES('45539F2D9D15C43166A58FA28EBD3D38','tasks',NULL,4,NULL,NULL,1,0,0.05,1795892494000,1795892494914,'chatterbox-plus',NULL,NULL,NULL,NULL);
CREATE TABLE servers (
	id VARCHAR(80) NOT NULL, 
	host VARCHAR(260) NOT NULL, 
	pid INTEGER NOT NULL, 
	process_started FLOAT NOT NULL, 
	beat_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "servers" VALUES('server-15374-bfaf6e9e','server',15374,1795892492.78,'2026-11-28T19:01:40.925880Z');
CREATE TABLE streams (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    "offset" INTEGER NOT NULL, function_id INTEGER NOT NULL DEFAULT 0, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key, "offset"),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE task_events (
	task VARCHAR(40) NOT NULL, 
	seq INTEGER NOT NULL, 
	type VARCHAR(16) NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	data TEXT NOT NULL, 
	PRIMARY KEY (task, seq), 
	FOREIGN KEY(task) REFERENCES tasks (id) ON DELETE CASCADE
);
INSERT INTO "task_events" VALUES('task_9b4d78c7bada68d78b7d0f47',1,'queued','2026-11-28T19:01:34.564346Z','{}');
INSERT INTO "task_events" VALUES('task_9b4d78c7bada68d78b7d0f47',2,'started','2026-11-28T19:01:36.025276Z','{"attempt":1}');
INSERT INTO "task_events" VALUES('task_9b4d78c7bada68d78b7d0f47',3,'passage','2026-11-28T19:01:36.879768Z','{"passage":1,"passages":1,"audio_seconds":0.19}');
INSERT INTO "task_events" VALUES('task_9b4d78c7bada68d78b7d0f47',4,'finished','2026-11-28T19:01:36.895136Z','{"status":"succeeded","output_url":"/outputs/t00000.wav"}');
INSERT INTO "task_events" VALUES('task_a524392e65ac8b55bd873393',1,'queued','2026-11-28T19:01:36.937424Z','{}');
INSERT INTO "task_events" VALUES('task_a524392e65ac8b55bd873393',2,'started','2026-11-28T19:01:37.988929Z','{"attempt":1}');
INSERT INTO "task_events" VALUES('task_a524392e65ac8b55bd873393',3,'finished','2026-11-28T19:01:38.025343Z','{"status":"failed","error":{"code":"RESOURCE_NOT_FOUND","message":"voice not found: nobody","param":"reference_audio_filename"}}');
INSERT INTO "task_events" VALUES('task_e9703beb34171056bebbef09',1,'queued','2026-11-28T19:01:38.084010Z','{}');
INSERT INTO "task_events" VALUES('row_080b65407566bb1d389e12b6',1,'queued','2026-11-28T19:01:38.084010Z','{}');
INSERT INTO "task_events" VALUES('row_35c34c2d9d50a630aa931e92',1,'queued','2026-11-28T19:01:38.084010Z','{}');
INSERT INTO "task_events" VALUES('row_9cf0ab9c9d9b4ddceb819c3e',1,'queued','2026-11-28T19:01:38.084010Z','{}');
INSERT INTO "task_events" VALUES('row_080b65407566bb1d389e12b6',2,'started','2026-11-28T19:01:39.006323Z','{"attempt":1}');
INSERT INTO "task_events" VALUES('task_e9703beb34171056bebbef09',2,'started','2026-11-28T19:01:39.008925Z','{"attempt":1}');
INSERT INTO "task_events" VALUES('row_9cf0ab9c9d9b4ddceb819c3e',2,'started','2026-11-28T19:01:39.018258Z','{"attempt":1}');
INSERT INTO "task_events" VALUES('row_35c34c2d9d50a630aa931e92',2,'started','2026-11-28T19:01:39.028800Z','{"attempt":1}');
INSERT INTO "task_events" VALUES('row_080b65407566bb1d389e12b6',3,'passage','2026-11-28T19:01:39.226737Z','{"passage":1,"passages":4,"audio_seconds":0.45}');
INSERT INTO "task_events" VALUES('row_35c34c2d9d50a630aa931e92',3,'passage','2026-11-28T19:01:39.429484Z','{"passage":1,"passages":4,"audio_seconds":0.45}');
INSERT INTO "task_events" VALUES('row_9cf0ab9c9d9b4ddceb819c3e',3,'passage','2026-11-28T19:01:39.473906Z','{"passage":1,"passages":4,"audio_seconds":0.45}');
INSERT INTO "task_events" VALUES('row_080b65407566bb1d389e12b6',4,'passage','2026-11-28T19:01:39.632943Z','{"passage":2,"passages":4,"audio_seconds":0.9}');
INSERT INTO "task_events" VALUES('row_35c34c2d9d50a630aa931e92',4,'passage','2026-11-28T19:01:39.676359Z','{"passage":2,"passages":4,"audio_seconds":0.9}');
INSERT INTO "task_events" VALUES('row_9cf0ab9c9d9b4ddceb819c3e',4,'passage','2026-11-28T19:01:39.839955Z','{"passage":2,"passages":4,"audio_seconds":0.9}');
INSERT INTO "task_events" VALUES('row_080b65407566bb1d389e12b6',5,'passage','2026-11-28T19:01:39.903659Z','{"passage":3,"passages":4,"audio_seconds":1.35}');
INSERT INTO "task_events" VALUES('row_35c34c2d9d50a630aa931e92',5,'passage','2026-11-28T19:01:40.054801Z','{"passage":3,"passages":4,"audio_seconds":1.35}');
INSERT INTO "task_events" VALUES('row_9cf0ab9c9d9b4ddceb819c3e',5,'passage','2026-11-28T19:01:40.127668Z','{"passage":3,"passages":4,"audio_seconds":1.35}');
INSERT INTO "task_events" VALUES('row_080b65407566bb1d389e12b6',6,'passage','2026-11-28T19:01:40.256556Z','{"passage":4,"passages":4,"audio_seconds":1.55}');
INSERT INTO "task_events" VALUES('row_080b65407566bb1d389e12b6',7,'finished','2026-11-28T19:01:40.262718Z','{"status":"succeeded","output_url":"/outputs/t00010.wav"}');
INSERT INTO "task_events" VALUES('task_e9703beb34171056bebbef09',3,'row','2026-11-28T19:01:40.263083Z','{"row":1,"name":"t00010","status":"succeeded","output_url":"/outputs/t00010.wav"}');
INSERT INTO "task_events" VALUES('task_5aa5d5090d9c5be1e3aa5cf4',1,'queued','2026-11-28T19:01:40.280800Z','{}');
INSERT INTO "task_events" VALUES('task_5aa5d5090d9c5be1e3aa5cf4',2,'paused','2026-11-28T19:01:40.288264Z','{}');
INSERT INTO "task_events" VALUES('task_867d4acb478e48b631c1352b',1,'queued','2026-11-28T19:01:40.296069Z','{}');
INSERT INTO "task_events" VALUES('task_867d4acb478e48b631c1352b',2,'finished','2026-11-28T19:01:40.299958Z','{"status":"cancelled","error":{"code":"CANCELLED","message":"the task was cancelled"}}');
INSERT INTO "task_events" VALUES('task_9f81aaf938a3f3e104bed28a',1,'queued','2026-11-28T19:01:40.306046Z','{}');
INSERT INTO "task_events" VALUES('row_35c34c2d9d50a630aa931e92',6,'passage','2026-11-28T19:01:40.345058Z','{"passage":4,"passages":4,"audio_seconds":1.55}');
INSERT INTO "task_events" VALUES('row_35c34c2d9d50a630aa931e92',7,'finished','2026-11-28T19:01:40.358795Z','{"status":"succeeded","output_url":"/outputs/t00011.wav"}');
INSERT INTO "task_events" VALUES('task_e9703beb34171056bebbef09',4,'row','2026-11-28T19:01:40.359220Z','{"row":2,"name":"t00011","status":"succeeded","output_url":"/outputs/t00011.wav"}');
INSERT INTO "task_events" VALUES('row_9cf0ab9c9d9b4ddceb819c3e',6,'passage','2026-11-28T19:01:40.463215Z','{"passage":4,"passages":4,"audio_seconds":1.55}');
INSERT INTO "task_events" VALUES('row_9cf0ab9c9d9b4ddceb819c3e',7,'finished','2026-11-28T19:01:40.503728Z','{"status":"succeeded","output_url":"/outputs/t00012.wav"}');
INSERT INTO "task_events" VALUES('task_e9703beb34171056bebbef09',5,'row','2026-11-28T19:01:40.504110Z','{"row":3,"name":"t00012","status":"succeeded","output_url":"/outputs/t00012.wav"}');
INSERT INTO "task_events" VALUES('task_e9703beb34171056bebbef09',6,'finished','2026-11-28T19:01:40.505648Z','{"status":"succeeded"}');
INSERT INTO "task_events" VALUES('task_9f81aaf938a3f3e104bed28a',2,'started','2026-11-28T19:01:41.004098Z','{"attempt":1}');
INSERT INTO "task_events" VALUES('task_9f81aaf938a3f3e104bed28a',3,'paused','2026-11-28T19:01:41.044745Z','{}');
INSERT INTO "task_events" VALUES('task_b827f15cef5f12a3602ba2ba',1,'queued','2026-11-28T19:01:41.052680Z','{}');
INSERT INTO "task_events" VALUES('task_b69c43bb6e134bf03be6f915',1,'queued','2026-11-28T19:01:41.064377Z','{}');
INSERT INTO "task_events" VALUES('task_f956f3175aed0116bbb6e3ac',1,'queued','2026-11-28T19:01:41.076043Z','{}');
INSERT INTO "task_events" VALUES('task_c5ab5984b95cd61bd0611272',1,'queued','2026-11-28T19:01:41.084623Z','{}');
INSERT INTO "task_events" VALUES('task_71502b225796c7845884933c',1,'queued','2026-11-28T19:01:41.114142Z','{}');
INSERT INTO "task_events" VALUES('task_deafd64e0358428f7517ddf4',1,'queued','2026-11-28T19:01:41.131974Z','{}');
INSERT INTO "task_events" VALUES('task_92d7d9c69ffdedb7cc943d06',1,'queued','2026-11-28T19:01:41.148251Z','{}');
INSERT INTO "task_events" VALUES('task_214daf976ba1a870ca4ed756',1,'queued','2026-11-28T19:01:41.156059Z','{}');
INSERT INTO "task_events" VALUES('task_bfd225a4d13069c5695eba5c',1,'queued','2026-11-28T19:01:41.162184Z','{}');
INSERT INTO "task_events" VALUES('task_06c68df7fa51d16150250db3',1,'queued','2026-11-28T19:01:41.167862Z','{}');
INSERT INTO "task_events" VALUES('task_b827f15cef5f12a3602ba2ba',2,'started','2026-11-28T19:01:42.123592Z','{"attempt":1}');
INSERT INTO "task_events" VALUES('task_b69c43bb6e134bf03be6f915',2,'started','2026-11-28T19:01:42.132842Z','{"attempt":1}');
INSERT INTO "task_events" VALUES('task_c5ab5984b95cd61bd0611272',2,'started','2026-11-28T19:01:42.151544Z','{"attempt":1}');
INSERT INTO "task_events" VALUES('task_f956f3175aed0116bbb6e3ac',2,'started','2026-11-28T19:01:42.171582Z','{"attempt":1}');
CREATE TABLE tasks (
	id VARCHAR(40) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	parent VARCHAR(40), 
	number INTEGER, 
	name VARCHAR(260), 
	project VARCHAR(260) NOT NULL, 
	"key" VARCHAR(8), 
	lane INTEGER NOT NULL, 
	tag BIGINT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	attempt INTEGER NOT NULL, 
	dispatched INTEGER NOT NULL, 
	executor VARCHAR(80), 
	spec TEXT NOT NULL, 
	idempotency VARCHAR(64), 
	fingerprint VARCHAR(64), 
	webhook_url TEXT, 
	base_url TEXT, 
	done FLOAT NOT NULL, 
	total FLOAT, 
	audio_s FLOAT NOT NULL, 
	events INTEGER NOT NULL, 
	result TEXT, 
	error TEXT, 
	created_at VARCHAR(32) NOT NULL, 
	updated_at VARCHAR(32) NOT NULL, 
	started_at VARCHAR(32), 
	finished_at VARCHAR(32), 
	PRIMARY KEY (id), 
	CONSTRAINT tasks_idempotency UNIQUE (idempotency), 
	FOREIGN KEY(parent) REFERENCES tasks (id) ON DELETE CASCADE
);
INSERT INTO "tasks" VALUES('task_9b4d78c7bada68d78b7d0f47','tts',NULL,NULL,'t00000','',NULL,0,1,'succeeded',1,1,'server-15374-bfaf6e9e','{"seed":7,"options":{"text":"Task 0 says line 1.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,1.0,1.0,0.19,4,'{"output_files":[{"format":"wav","filename":"t00000.wav","url":"/outputs/t00000.wav","path":"outputs/t00000.wav","file_size_bytes":9164}],"output_url":"/outputs/t00000.wav","total_duration_seconds":0.19,"processing_time_seconds":0.852,"model":"counting","notes":[],"generation_seed_used":7,"passages":1}',NULL,'2026-11-28T19:01:34.564346Z','2026-11-28T19:01:36.890224Z','2026-11-28T19:01:36.023958Z','2026-11-28T19:01:36.890130Z');
INSERT INTO "tasks" VALUES('task_a524392e65ac8b55bd873393','tts',NULL,NULL,'t00001','',NULL,0,2,'failed',1,1,'server-15374-bfaf6e9e','{"seed":7,"options":{"text":"No.","reference_audio_filename":"nobody"}}',NULL,NULL,NULL,NULL,0.0,NULL,0.0,3,NULL,'{"code":"RESOURCE_NOT_FOUND","message":"voice not found: nobody","param":"reference_audio_filename"}','2026-11-28T19:01:36.937424Z','2026-11-28T19:01:38.024852Z','2026-11-28T19:01:37.988499Z','2026-11-28T19:01:38.024669Z');
INSERT INTO "tasks" VALUES('task_e9703beb34171056bebbef09','batch',NULL,NULL,'batch','',NULL,1,1,'succeeded',1,1,NULL,'{}',NULL,NULL,NULL,NULL,3.0,3.0,0.0,6,'{"rows":3,"counts":{"succeeded":3}}',NULL,'2026-11-28T19:01:38.084010Z','2026-11-28T19:01:40.505474Z','2026-11-28T19:01:39.004921Z','2026-11-28T19:01:40.505406Z');
INSERT INTO "tasks" VALUES('row_080b65407566bb1d389e12b6','tts','task_e9703beb34171056bebbef09',1,'t00010','',NULL,1,1,'succeeded',1,1,'server-15374-bfaf6e9e','{"seed":7,"options":{"text":"Task 10 says line 1. Task 10 says line 2. Task 10 says line 3. Task 10 says line 4.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,4.0,4.0,1.55,7,'{"output_files":[{"format":"wav","filename":"t00010.wav","url":"/outputs/t00010.wav","path":"outputs/t00010.wav","file_size_bytes":74444}],"output_url":"/outputs/t00010.wav","total_duration_seconds":1.55,"processing_time_seconds":1.246,"model":"counting","notes":[],"generation_seed_used":7,"passages":4}',NULL,'2026-11-28T19:01:38.084011Z','2026-11-28T19:01:40.262484Z','2026-11-28T19:01:39.004921Z','2026-11-28T19:01:40.262305Z');
INSERT INTO "tasks" VALUES('row_35c34c2d9d50a630aa931e92','tts','task_e9703beb34171056bebbef09',2,'t00011','',NULL,1,2,'succeeded',1,1,'server-15374-bfaf6e9e','{"seed":7,"options":{"text":"Task 11 says line 1. Task 11 says line 2. Task 11 says line 3. Task 11 says line 4.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,4.0,4.0,1.55,7,'{"output_files":[{"format":"wav","filename":"t00011.wav","url":"/outputs/t00011.wav","path":"outputs/t00011.wav","file_size_bytes":74444}],"output_url":"/outputs/t00011.wav","total_duration_seconds":1.55,"processing_time_seconds":1.31,"model":"counting","notes":[],"generation_seed_used":7,"passages":4}',NULL,'2026-11-28T19:01:38.084012Z','2026-11-28T19:01:40.358364Z','2026-11-28T19:01:39.026602Z','2026-11-28T19:01:40.358226Z');
INSERT INTO "tasks" VALUES('row_9cf0ab9c9d9b4ddceb819c3e','tts','task_e9703beb34171056bebbef09',3,'t00012','',NULL,1,3,'succeeded',1,1,'server-15374-bfaf6e9e','{"seed":7,"options":{"text":"Task 12 says line 1. Task 12 says line 2. Task 12 says line 3. Task 12 says line 4.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,4.0,4.0,1.55,7,'{"output_files":[{"format":"wav","filename":"t00012.wav","url":"/outputs/t00012.wav","path":"outputs/t00012.wav","file_size_bytes":74444}],"output_url":"/outputs/t00012.wav","total_duration_seconds":1.55,"processing_time_seconds":1.438,"model":"counting","notes":[],"generation_seed_used":7,"passages":4}',NULL,'2026-11-28T19:01:38.084013Z','2026-11-28T19:01:40.503456Z','2026-11-28T19:01:39.017809Z','2026-11-28T19:01:40.503329Z');
INSERT INTO "tasks" VALUES('task_5aa5d5090d9c5be1e3aa5cf4','tts',NULL,NULL,'t00020','',NULL,0,3,'paused',1,0,NULL,'{"seed":7,"options":{"text":"Task 20 says line 1. Task 20 says line 2. Task 20 says line 3. Task 20 says line 4.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,0.0,NULL,0.0,2,NULL,NULL,'2026-11-28T19:01:40.280800Z','2026-11-28T19:01:40.287571Z',NULL,NULL);
INSERT INTO "tasks" VALUES('task_867d4acb478e48b631c1352b','tts',NULL,NULL,'t00021','',NULL,0,4,'cancelled',1,0,NULL,'{"seed":7,"options":{"text":"Task 21 says line 1. Task 21 says line 2. Task 21 says line 3. Task 21 says line 4.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,0.0,NULL,0.0,2,NULL,'{"code":"CANCELLED","message":"the task was cancelled"}','2026-11-28T19:01:40.296069Z','2026-11-28T19:01:40.299311Z',NULL,'2026-11-28T19:01:40.299210Z');
INSERT INTO "tasks" VALUES('task_9f81aaf938a3f3e104bed28a','tts',NULL,NULL,'t00022','',NULL,0,5,'paused',1,1,'server-15374-bfaf6e9e','{"seed":7,"options":{"text":"Task 22 says line 1. Task 22 says line 2. Task 22 says line 3. Task 22 says line 4.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,0.0,NULL,0.0,3,NULL,NULL,'2026-11-28T19:01:40.306046Z','2026-11-28T19:01:41.044486Z','2026-11-28T19:01:41.003781Z',NULL);
INSERT INTO "tasks" VALUES('task_b827f15cef5f12a3602ba2ba','tts',NULL,NULL,'t00030','',NULL,0,6,'running',1,1,'server-15374-bfaf6e9e','{"seed":7,"options":{"text":"Task 30 says line 1. Task 30 says line 2. Task 30 says line 3. Task 30 says line 4.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,0.0,NULL,0.0,2,NULL,NULL,'2026-11-28T19:01:41.052680Z','2026-11-28T19:01:42.123268Z','2026-11-28T19:01:42.123268Z',NULL);
INSERT INTO "tasks" VALUES('task_b69c43bb6e134bf03be6f915','tts',NULL,NULL,'t00031','',NULL,0,7,'running',1,1,'server-15374-bfaf6e9e','{"seed":7,"options":{"text":"Task 31 says line 1. Task 31 says line 2. Task 31 says line 3. Task 31 says line 4.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,0.0,NULL,0.0,2,NULL,NULL,'2026-11-28T19:01:41.064377Z','2026-11-28T19:01:42.132510Z','2026-11-28T19:01:42.132510Z',NULL);
INSERT INTO "tasks" VALUES('task_f956f3175aed0116bbb6e3ac','tts',NULL,NULL,'t00032','',NULL,0,8,'running',1,1,'server-15374-bfaf6e9e','{"seed":7,"options":{"text":"Task 32 says line 1. Task 32 says line 2. Task 32 says line 3. Task 32 says line 4.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,0.0,NULL,0.0,2,NULL,NULL,'2026-11-28T19:01:41.076043Z','2026-11-28T19:01:42.171239Z','2026-11-28T19:01:42.171239Z',NULL);
INSERT INTO "tasks" VALUES('task_c5ab5984b95cd61bd0611272','tts',NULL,NULL,'t00033','',NULL,0,9,'running',1,1,'server-15374-bfaf6e9e','{"seed":7,"options":{"text":"Task 33 says line 1. Task 33 says line 2. Task 33 says line 3. Task 33 says line 4.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,0.0,NULL,0.0,2,NULL,NULL,'2026-11-28T19:01:41.084623Z','2026-11-28T19:01:42.151150Z','2026-11-28T19:01:42.151150Z',NULL);
INSERT INTO "tasks" VALUES('task_71502b225796c7845884933c','tts',NULL,NULL,'t00034','',NULL,0,10,'queued',1,1,NULL,'{"seed":7,"options":{"text":"Task 34 says line 1. Task 34 says line 2. Task 34 says line 3. Task 34 says line 4.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,0.0,NULL,0.0,1,NULL,NULL,'2026-11-28T19:01:41.114142Z','2026-11-28T19:01:41.114142Z',NULL,NULL);
INSERT INTO "tasks" VALUES('task_deafd64e0358428f7517ddf4','tts',NULL,NULL,'t00035','',NULL,0,11,'queued',1,1,NULL,'{"seed":7,"options":{"text":"Task 35 says line 1. Task 35 says line 2. Task 35 says line 3. Task 35 says line 4.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,0.0,NULL,0.0,1,NULL,NULL,'2026-11-28T19:01:41.131974Z','2026-11-28T19:01:41.131974Z',NULL,NULL);
INSERT INTO "tasks" VALUES('task_92d7d9c69ffdedb7cc943d06','tts',NULL,NULL,'t00036','',NULL,0,12,'queued',1,1,NULL,'{"seed":7,"options":{"text":"Task 36 says line 1. Task 36 says line 2. Task 36 says line 3. Task 36 says line 4.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,0.0,NULL,0.0,1,NULL,NULL,'2026-11-28T19:01:41.148251Z','2026-11-28T19:01:41.148251Z',NULL,NULL);
INSERT INTO "tasks" VALUES('task_214daf976ba1a870ca4ed756','tts',NULL,NULL,'t00037','',NULL,0,13,'queued',1,1,NULL,'{"seed":7,"options":{"text":"Task 37 says line 1. Task 37 says line 2. Task 37 says line 3. Task 37 says line 4.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,0.0,NULL,0.0,1,NULL,NULL,'2026-11-28T19:01:41.156059Z','2026-11-28T19:01:41.156059Z',NULL,NULL);
INSERT INTO "tasks" VALUES('task_bfd225a4d13069c5695eba5c','tts',NULL,NULL,'t00038','',NULL,0,14,'queued',1,1,NULL,'{"seed":7,"options":{"text":"Task 38 says line 1. Task 38 says line 2. Task 38 says line 3. Task 38 says line 4.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,0.0,NULL,0.0,1,NULL,NULL,'2026-11-28T19:01:41.162184Z','2026-11-28T19:01:41.162184Z',NULL,NULL);
INSERT INTO "tasks" VALUES('task_06c68df7fa51d16150250db3','tts',NULL,NULL,'t00039','',NULL,0,15,'queued',1,1,NULL,'{"seed":7,"options":{"text":"Task 39 says line 1. Task 39 says line 2. Task 39 says line 3. Task 39 says line 4.","export_formats":["wav"],"normalize_numbers":false}}',NULL,NULL,NULL,NULL,0.0,NULL,0.0,1,NULL,NULL,'2026-11-28T19:01:41.167862Z','2026-11-28T19:01:41.167862Z',NULL,NULL);
CREATE TABLE workflow_events (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_events_history (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, function_id, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid)
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_input (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    inputs TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO "workflow_input" VALUES('task_9b4d78c7bada68d78b7d0f47.1','{"namedArgs":{},"positionalArgs":["task_9b4d78c7bada68d78b7d0f47",1]}',1795892494000);
INSERT INTO "workflow_input" VALUES('task_a524392e65ac8b55bd873393.1','{"namedArgs":{},"positionalArgs":["task_a524392e65ac8b55bd873393",1]}',1795892497000);
INSERT INTO "workflow_input" VALUES('row_080b65407566bb1d389e12b6.1','{"namedArgs":{},"positionalArgs":["row_080b65407566bb1d389e12b6",1]}',1795892498000);
INSERT INTO "workflow_input" VALUES('row_35c34c2d9d50a630aa931e92.1','{"namedArgs":{},"positionalArgs":["row_35c34c2d9d50a630aa931e92",1]}',1795892498000);
INSERT INTO "workflow_input" VALUES('row_9cf0ab9c9d9b4ddceb819c3e.1','{"namedArgs":{},"positionalArgs":["row_9cf0ab9c9d9b4ddceb819c3e",1]}',1795892498000);
INSERT INTO "workflow_input" VALUES('task_9f81aaf938a3f3e104bed28a.1','{"namedArgs":{},"positionalArgs":["task_9f81aaf938a3f3e104bed28a",1]}',1795892500000);
INSERT INTO "workflow_input" VALUES('task_b827f15cef5f12a3602ba2ba.1','{"namedArgs":{},"positionalArgs":["task_b827f15cef5f12a3602ba2ba",1]}',1795892501000);
INSERT INTO "workflow_input" VALUES('task_b69c43bb6e134bf03be6f915.1','{"namedArgs":{},"positionalArgs":["task_b69c43bb6e134bf03be6f915",1]}',1795892501000);
INSERT INTO "workflow_input" VALUES('task_f956f3175aed0116bbb6e3ac.1','{"namedArgs":{},"positionalArgs":["task_f956f3175aed0116bbb6e3ac",1]}',1795892501000);
INSERT INTO "workflow_input" VALUES('task_c5ab5984b95cd61bd0611272.1','{"namedArgs":{},"positionalArgs":["task_c5ab5984b95cd61bd0611272",1]}',1795892501000);
INSERT INTO "workflow_input" VALUES('task_71502b225796c7845884933c.1','{"namedArgs":{},"positionalArgs":["task_71502b225796c7845884933c",1]}',1795892502000);
INSERT INTO "workflow_input" VALUES('task_deafd64e0358428f7517ddf4.1','{"namedArgs":{},"positionalArgs":["task_deafd64e0358428f7517ddf4",1]}',1795892502000);
INSERT INTO "workflow_input" VALUES('task_92d7d9c69ffdedb7cc943d06.1','{"namedArgs":{},"positionalArgs":["task_92d7d9c69ffdedb7cc943d06",1]}',1795892502000);
INSERT INTO "workflow_input" VALUES('task_214daf976ba1a870ca4ed756.1','{"namedArgs":{},"positionalArgs":["task_214daf976ba1a870ca4ed756",1]}',1795892502000);
INSERT INTO "workflow_input" VALUES('task_bfd225a4d13069c5695eba5c.1','{"namedArgs":{},"positionalArgs":["task_bfd225a4d13069c5695eba5c",1]}',1795892502000);
INSERT INTO "workflow_input" VALUES('task_06c68df7fa51d16150250db3.1','{"namedArgs":{},"positionalArgs":["task_06c68df7fa51d16150250db3",1]}',1795892502000);
CREATE TABLE workflow_output (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    output TEXT,
    error TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO "workflow_output" VALUES('task_9b4d78c7bada68d78b7d0f47.1','null',NULL,1795892496000);
INSERT INTO "workflow_output" VALUES('task_a524392e65ac8b55bd873393.1','null',NULL,1795892498000);
INSERT INTO "workflow_output" VALUES('row_080b65407566bb1d389e12b6.1','null',NULL,1795892500000);
INSERT INTO "workflow_output" VALUES('row_35c34c2d9d50a630aa931e92.1','null',NULL,1795892500000);
INSERT INTO "workflow_output" VALUES('row_9cf0ab9c9d9b4ddceb819c3e.1','null',NULL,1795892500000);
INSERT INTO "workflow_output" VALUES('task_9f81aaf938a3f3e104bed28a.1','null',NULL,1795892501000);
CREATE TABLE workflow_schedules (
    schedule_id TEXT PRIMARY KEY,
    schedule_name TEXT NOT NULL UNIQUE,
    workflow_name TEXT NOT NULL,
    workflow_class_name TEXT,
    schedule TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'ACTIVE',
    context TEXT NOT NULL
, "last_fired_at" TEXT DEFAULT NULL, "automatic_backfill" BOOLEAN NOT NULL DEFAULT FALSE, "cron_timezone" TEXT DEFAULT NULL, "queue_name" TEXT DEFAULT NULL, "application_name" TEXT DEFAULT NULL);
CREATE TABLE workflow_status (
    workflow_uuid TEXT PRIMARY KEY,
    status TEXT,
    name TEXT,
    authenticated_user TEXT,
    assumed_role TEXT,
    authenticated_roles TEXT,
    request TEXT,
    output TEXT,
    error TEXT,
    executor_id TEXT,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    application_version TEXT,
    application_id TEXT,
    class_name TEXT DEFAULT NULL,
    config_name TEXT DEFAULT NULL,
    recovery_attempts INTEGER DEFAULT 0,
    queue_name TEXT,
    workflow_timeout_ms INTEGER,
    workflow_deadline_epoch_ms INTEGER,
    inputs TEXT,
    started_at_epoch_ms INTEGER,
    deduplication_id TEXT,
    priority INTEGER NOT NULL DEFAULT 0
, queue_partition_key TEXT, forked_from TEXT, "owner_xid" TEXT DEFAULT NULL, "parent_workflow_id" TEXT DEFAULT NULL, "serialization" TEXT DEFAULT NULL, "delay_until_epoch_ms" BIGINT DEFAULT NULL, "was_forked_from" BOOLEAN NOT NULL DEFAULT FALSE, "rate_limited" BOOLEAN NOT NULL DEFAULT FALSE, "completed_at" BIGINT, "attributes" TEXT, "schedule_name" TEXT, "debounce_deadline_epoch_ms" BIGINT DEFAULT NULL, "is_debounced" BOOLEAN NOT NULL DEFAULT FALSE, "application_name" TEXT DEFAULT NULL, "creator_xid" TEXT DEFAULT NULL);
INSERT INTO "workflow_status" VALUES('task_9b4d78c7bada68d78b7d0f47.1','SUCCESS','task',NULL,NULL,NULL,NULL,NULL,NULL,'server-15374-bfaf6e9e',1795892494000,1795892496000,'1',NULL,NULL,NULL,1,'tasks',NULL,NULL,NULL,1795892496000,NULL,2,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795892496000,'null',NULL,NULL,0,'chatterbox-plus','bdf75fd9-2d1b-4af8-b4a7-5128f9ef9657');
INSERT INTO "workflow_status" VALUES('task_a524392e65ac8b55bd873393.1','SUCCESS','task',NULL,NULL,NULL,NULL,NULL,NULL,'server-15374-bfaf6e9e',1795892497000,1795892498000,'1',NULL,NULL,NULL,1,'tasks',NULL,NULL,NULL,1795892497000,NULL,3,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795892498000,'null',NULL,NULL,0,'chatterbox-plus','9e855234-704e-4380-9647-11560c0be973');
INSERT INTO "workflow_status" VALUES('row_080b65407566bb1d389e12b6.1','SUCCESS','task',NULL,NULL,NULL,NULL,NULL,NULL,'server-15374-bfaf6e9e',1795892498000,1795892500000,'1',NULL,NULL,NULL,1,'tasks',NULL,NULL,NULL,1795892498000,NULL,1000000002,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795892500000,'null',NULL,NULL,0,'chatterbox-plus','802c47b5-f66a-49c3-a584-16737bb69d41');
INSERT INTO "workflow_status" VALUES('row_35c34c2d9d50a630aa931e92.1','SUCCESS','task',NULL,NULL,NULL,NULL,NULL,NULL,'server-15374-bfaf6e9e',1795892498000,1795892500000,'1',NULL,NULL,NULL,1,'tasks',NULL,NULL,NULL,1795892498000,NULL,1000000003,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795892500000,'null',NULL,NULL,0,'chatterbox-plus','7eea632f-c6c9-4ac5-922d-996dbab4e4b7');
INSERT INTO "workflow_status" VALUES('row_9cf0ab9c9d9b4ddceb819c3e.1','SUCCESS','task',NULL,NULL,NULL,NULL,NULL,NULL,'server-15374-bfaf6e9e',1795892498000,1795892500000,'1',NULL,NULL,NULL,1,'tasks',NULL,NULL,NULL,1795892498000,NULL,1000000004,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795892500000,'null',NULL,NULL,0,'chatterbox-plus','1c05e6b5-7534-4bd6-beb7-784aad38f0bd');
INSERT INTO "workflow_status" VALUES('task_9f81aaf938a3f3e104bed28a.1','SUCCESS','task',NULL,NULL,NULL,NULL,NULL,NULL,'server-15374-bfaf6e9e',1795892500000,1795892501000,'1',NULL,NULL,NULL,1,'tasks',NULL,NULL,NULL,1795892500000,NULL,6,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795892501000,'null',NULL,NULL,0,'chatterbox-plus','ec07426d-7aa4-4107-a9c2-a329fdbf809d');
INSERT INTO "workflow_status" VALUES('task_b827f15cef5f12a3602ba2ba.1','PENDING','task',NULL,NULL,NULL,NULL,NULL,NULL,'server-15374-bfaf6e9e',1795892501000,1795892502000,'1',NULL,NULL,NULL,1,'tasks',NULL,NULL,NULL,1795892502000,NULL,7,NULL,NULL,'f53e23fa-ab7b-4627-9ca8-115e62c8767e',NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'chatterbox-plus','0a315565-a373-4b6a-9392-d9c4ac8d07ec');
INSERT INTO "workflow_status" VALUES('task_b69c43bb6e134bf03be6f915.1','PENDING','task',NULL,NULL,NULL,NULL,NULL,NULL,'server-15374-bfaf6e9e',1795892501000,1795892502000,'1',NULL,NULL,NULL,1,'tasks',NULL,NULL,NULL,1795892502000,NULL,8,NULL,NULL,'f53e23fa-ab7b-4627-9ca8-115e62c8767e',NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'chatterbox-plus','9086fb60-09f5-48ba-8785-ba89c022d78b');
INSERT INTO "workflow_status" VALUES('task_f956f3175aed0116bbb6e3ac.1','PENDING','task',NULL,NULL,NULL,NULL,NULL,NULL,'server-15374-bfaf6e9e',1795892501000,1795892502000,'1',NULL,NULL,NULL,1,'tasks',NULL,NULL,NULL,1795892502000,NULL,9,NULL,NULL,'f53e23fa-ab7b-4627-9ca8-115e62c8767e',NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'chatterbox-plus','fdbd374a-31b5-4ee7-bfad-735055facb4d');
INSERT INTO "workflow_status" VALUES('task_c5ab5984b95cd61bd0611272.1','PENDING','task',NULL,NULL,NULL,NULL,NULL,NULL,'server-15374-bfaf6e9e',1795892501000,1795892502000,'1',NULL,NULL,NULL,1,'tasks',NULL,NULL,NULL,1795892502000,NULL,10,NULL,NULL,'f53e23fa-ab7b-4627-9ca8-115e62c8767e',NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'chatterbox-plus','5a2ca927-6734-48d5-87cd-a081cce0ffca');
INSERT INTO "workflow_status" VALUES('task_71502b225796c7845884933c.1','ENQUEUED','task',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795892502000,1795892502000,'1',NULL,NULL,NULL,0,'tasks',NULL,NULL,NULL,NULL,NULL,11,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'chatterbox-plus','0ebf8806-b217-4a1f-9537-6c8860371b95');
INSERT INTO "workflow_status" VALUES('task_deafd64e0358428f7517ddf4.1','ENQUEUED','task',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795892502000,1795892502000,'1',NULL,NULL,NULL,0,'tasks',NULL,NULL,NULL,NULL,NULL,12,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'chatterbox-plus','a2712cf3-5f4d-4a53-8e7e-2dd5059fbadd');
INSERT INTO "workflow_status" VALUES('task_92d7d9c69ffdedb7cc943d06.1','ENQUEUED','task',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795892502000,1795892502000,'1',NULL,NULL,NULL,0,'tasks',NULL,NULL,NULL,NULL,NULL,13,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'chatterbox-plus','67ae3295-ce3b-4821-873c-6b9aff54a068');
INSERT INTO "workflow_status" VALUES('task_214daf976ba1a870ca4ed756.1','ENQUEUED','task',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795892502000,1795892502000,'1',NULL,NULL,NULL,0,'tasks',NULL,NULL,NULL,NULL,NULL,14,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'chatterbox-plus','02a566d1-d5ad-4b9a-b01f-3b734c66caed');
INSERT INTO "workflow_status" VALUES('task_bfd225a4d13069c5695eba5c.1','ENQUEUED','task',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795892502000,1795892502000,'1',NULL,NULL,NULL,0,'tasks',NULL,NULL,NULL,NULL,NULL,15,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'chatterbox-plus','2eb3a50e-5beb-4ef0-9117-669827da8f38');
INSERT INTO "workflow_status" VALUES('task_06c68df7fa51d16150250db3.1','ENQUEUED','task',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795892502000,1795892502000,'1',NULL,NULL,NULL,0,'tasks',NULL,NULL,NULL,NULL,NULL,16,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'chatterbox-plus','fab787d5-5cd6-4a3f-b283-4b044fb51ebd');
CREATE INDEX tasks_list ON tasks (project, created_at);
CREATE INDEX tasks_turn ON tasks (lane, status, tag);
CREATE INDEX tasks_family ON tasks (parent, number);
CREATE INDEX tasks_key ON tasks ("key", lane, status);
CREATE INDEX deliveries_due ON deliveries (state, next_at);
CREATE INDEX deliveries_of ON deliveries (task);
CREATE INDEX workflow_status_created_at_index ON workflow_status (created_at);
CREATE INDEX idx_workflow_topic ON notifications (destination_uuid, topic);
CREATE INDEX "idx_workflow_status_delayed" ON "workflow_status" ("delay_until_epoch_ms") WHERE status = 'DELAYED';
CREATE INDEX "idx_workflow_status_forked_from" ON "workflow_status" ("forked_from") WHERE "forked_from" IS NOT NULL;
CREATE INDEX "idx_workflow_status_parent_workflow_id" ON "workflow_status" ("parent_workflow_id") WHERE "parent_workflow_id" IS NOT NULL;
CREATE UNIQUE INDEX "uq_workflow_status_dedup_id" ON "workflow_status" ("queue_name", "deduplication_id") WHERE "deduplication_id" IS NOT NULL;
CREATE INDEX "idx_workflow_status_pending" ON "workflow_status" ("created_at") WHERE "status" = 'PENDING';
CREATE INDEX "idx_workflow_status_failed" ON "workflow_status" ("status", "created_at") WHERE "status" IN ('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED');
CREATE INDEX "idx_workflow_status_rate_limited" ON "workflow_status" ("queue_name", "started_at_epoch_ms") WHERE "rate_limited" = TRUE;
CREATE INDEX "idx_workflow_status_completed_at" ON "workflow_status" ("completed_at") WHERE "completed_at" IS NOT NULL;
CREATE INDEX "idx_workflow_status_started_at" ON "workflow_status" ("started_at_epoch_ms") WHERE "started_at_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_workflow_status_schedule_name" ON "workflow_status" ("schedule_name") WHERE "schedule_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_owner_version"
    ON application_versions ("application_name", "version_name")
    WHERE "application_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_unclaimed_version"
    ON application_versions ("version_name")
    WHERE "application_name" IS NULL;
CREATE INDEX idx_workflow_input_retention
    ON workflow_input (retention_timestamp);
CREATE INDEX idx_workflow_output_retention
    ON workflow_output (retention_timestamp);
CREATE INDEX idx_operation_outputs_retention
    ON operation_outputs (retention_timestamp);
CREATE INDEX "idx_workflow_status_in_flight_v2" ON "workflow_status" ("queue_name", "status", "priority", "created_at", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING');
CREATE INDEX "idx_workflow_status_partition_dequeue_v3" ON "workflow_status" ("queue_name", "status", "queue_partition_key", "priority", "created_at", "workflow_uuid", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING') AND "queue_partition_key" IS NOT NULL;
CREATE INDEX "idx_operation_outputs_completed_at_function_name_v2" ON "operation_outputs" ("completed_at_epoch_ms", "function_name", "application_name");
CREATE INDEX "idx_workflow_status_deadline" ON "workflow_status" ("workflow_deadline_epoch_ms") WHERE "status" IN ('ENQUEUED', 'PENDING', 'DELAYED') AND "workflow_deadline_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_application_versions_timestamp" ON "application_versions" ("version_timestamp" DESC);
CREATE INDEX "idx_application_versions_owner_timestamp" ON "application_versions" ("application_name", "version_timestamp" DESC);
COMMIT;
