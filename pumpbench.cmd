@echo off
rem Starts the bench on Windows: pumpbench demo, pumpbench test.  `py` comes with the installer of python.org.
where py >nul 2>nul
if errorlevel 1 (python "%~dp0pumpbench" %*) else (py -3 "%~dp0pumpbench" %*)
exit /b %errorlevel%
